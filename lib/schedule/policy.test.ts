import test from 'ava';
import type { Due } from './cadence.ts';
import { ON_TIME_MS, planFor, type MissedPolicy, type Plan } from './policy.ts';

const three: Due = { newest: [1_000, 2_000, 3_000], earlier: undefined };
const many: Due = { newest: [9_000, 10_000], earlier: { fromMs: 1_000, toMs: 8_000, count: 8 } };
const late = 3_000 + ON_TIME_MS + 1;

const cases: readonly [claim: string, due: Due, policy: MissedPolicy, nowMs: number, plan: Plan | undefined][] = [
  ['nothing is due', { newest: [], earlier: undefined }, 'all', 9_000, undefined],
  [
    'skip starts the newest if it is on time',
    three,
    'skip',
    3_000 + ON_TIME_MS,
    { start: 3_000, missed: { fromMs: 1_000, toMs: 2_000, count: 2 }, upToMs: 3_000 },
  ],
  [
    'skip starts nothing that is late',
    three,
    'skip',
    late,
    { start: undefined, missed: { fromMs: 1_000, toMs: 3_000, count: 3 }, upToMs: 3_000 },
  ],
  [
    'last starts the newest however late',
    three,
    'last',
    late * 1_000,
    { start: 3_000, missed: { fromMs: 1_000, toMs: 2_000, count: 2 }, upToMs: 3_000 },
  ],
  ['all starts the oldest first', three, 'all', late, { start: 1_000, missed: undefined, upToMs: 1_000 }],
  [
    'all records those before the newest hundred as missed',
    many,
    'all',
    late,
    { start: 9_000, missed: { fromMs: 1_000, toMs: 8_000, count: 8 }, upToMs: 9_000 },
  ],
  [
    'what is passed over and what is not told one by one is one stretch',
    many,
    'last',
    late,
    { start: 10_000, missed: { fromMs: 1_000, toMs: 9_000, count: 9 }, upToMs: 10_000 },
  ],
  [
    'a single tick on time misses nothing',
    { newest: [1_000], earlier: undefined },
    'skip',
    1_000,
    { start: 1_000, missed: undefined, upToMs: 1_000 },
  ],
];
for (const [claim, due, policy, nowMs, plan] of cases) {
  test(claim, (t) => {
    t.deepEqual(planFor(due, policy, nowMs), plan);
  });
}
