import test from 'ava';
import { checkSeeds, seedsFrom } from './seeds.ts';

/* In a file of its own, since the files of a test run share the processors. */
test('seeds 1 to 20 violate nothing', async (t) => {
  await checkSeeds(t, seedsFrom(1, 20));
});
