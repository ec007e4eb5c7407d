import test from 'ava';
import { checkSeeds, seedsFrom } from './seeds.ts';

/* In files of their own, since the files of a test run share the processors. */
for (let from = 1; from < 51; from += 50) {
  test(`seeds ${from} to ${from + 49} violate nothing`, async (t) => {
    await checkSeeds(t, seedsFrom(from, 50));
  });
}
