import test from 'ava';
import { corpus } from './corpus.ts';
import { checkSeeds, seedsFrom } from './seeds.ts';
import { simulate } from './simulation.ts';

test('seeds that once found a bug find none', async (t) => {
  await checkSeeds(
    t,
    corpus.map(({ seed }) => seed),
  );
});

test('a seed gives the same run each time, line by line, whatever runs beside it', async (t) => {
  const [first, , again] = await Promise.all([simulate(5), simulate(6), simulate(5)]);
  t.deepEqual(first.lines, again.lines);
  t.is(first.hash, again.hash);
  t.not(first.hash, (await simulate(6)).hash);
});

test('what happens in the runs would have lost updates without a guard, and locks without a lease', async (t) => {
  const counts = new Map<string, number>();
  for (const { counts: some } of await checkSeeds(t, seedsFrom(1_000, 40))) {
    for (const [name, count] of some) counts.set(name, (counts.get(name) ?? 0) + count);
  }
  for (const name of ['updates lost without a guard', 'updates refused', 'losses', 'all: LockLostError']) {
    t.true((counts.get(name) ?? 0) > 0, name);
  }
  t.true((counts.get('grants') ?? 0) > 1_000);
});
