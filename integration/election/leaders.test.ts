import test from 'ava';
import type { Leader } from '../../lib/index.ts';
import { packToken } from '../../lib/queue/token.ts';
import { brief, type HistoryEvent } from '../replica/history.ts';
import { checkObserved, stepsOf } from './leaders.ts';

/* The judge of the observers, judged. */

const event = (revision: bigint, key: string, value?: string): HistoryEvent => ({
  revision,
  key,
  value: value === undefined ? undefined : brief(value),
});
const leader = (revision: bigint, value: string): Leader => ({
  instanceId: undefined,
  value,
  token: packToken({ epoch: 0, revision, handoff: 0 }),
});

/* a leads and proclaims, b waits and follows, nobody, a again. */
const events = [
  event(1n, 'a', 'one'),
  event(2n, 'a', 'two'),
  event(3n, 'b', 'other'),
  event(4n, 'a'),
  event(5n, 'b'),
  event(6n, 'a', 'one'),
];
const [a1, a2, b3, a6] = [leader(1n, 'one'), leader(1n, 'two'), leader(3n, 'other'), leader(6n, 'one')];

test('a step is a change of the first in the queue, or of what it says', (t) => {
  t.deepEqual(
    stepsOf(events).map(({ revision }) => revision),
    [0n, 1n, 2n, 4n, 5n, 6n],
  );
});

const right: readonly [string, (Leader | undefined)[], bigint[]][] = [
  ['every step', [undefined, a1, a2, b3, undefined, a6], []],
  ['a gap', [undefined, a1, a6], [2n, 4n, 5n]],
  ['a gap at the beginning', [b3, undefined, a6], [0n, 1n, 2n]],
];
for (const [what, seen, skipped] of right) {
  test(`${what} is right`, (t) => {
    t.deepEqual(
      checkObserved(seen, stepsOf(events)).map(({ revision }) => revision),
      skipped,
    );
  });
}

const wrong: readonly [string, (Leader | undefined)[]][] = [
  ['a leader that only waited', [undefined, a1, leader(2n, 'other'), a6]],
  ['a leader with the value of another', [undefined, leader(1n, 'other'), a6]],
  ['a leader that comes back', [undefined, a1, a2, a1, b3, undefined, a6]],
  ['two leaders out of order', [undefined, b3, a2, a6]],
  ['an absence that was none', [undefined, a1, undefined, a2, b3, undefined, a6]],
  ['a missing end', [undefined, a1, a2, b3, undefined]],
];
for (const [what, seen] of wrong) {
  test(`${what} is found`, (t) => void t.throws(() => checkObserved(seen, stepsOf(events))));
}
