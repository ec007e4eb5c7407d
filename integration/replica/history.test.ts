import test from 'ava';
import { checkTold, type HistoryEvent, type Told } from './history.ts';

/* The judge of the cuts test, judged: what it lets pass nobody else would find. */

const event = (revision: number, key: string, value?: string): HistoryEvent => ({
  revision: BigInt(revision),
  key,
  value,
});
const live = (...events: readonly HistoryEvent[]): Told[] => events.map((each) => ({ ...each, isResync: false }));
const resync = (...events: readonly HistoryEvent[]): Told[] => events.map((each) => ({ ...each, isResync: true }));

const [a1, b2, a3, gone4, a5] = [
  event(1, 'a', '1'),
  event(2, 'b', '2'),
  event(3, 'a', '3'),
  event(4, 'b'),
  event(5, 'a', '5'),
];
const history = [a1, b2, a3, gone4, a5];
/* Restored to revision 2, and then written to anew. */
const other3 = event(3, 'c', 'other');
const other4 = event(4, 'a', 'other');
const restored = [history, [a1, b2, other3, other4]];

const right: readonly [string, Told[], readonly (readonly HistoryEvent[])[], number][] = [
  ['every event once', live(...history), [history], 0],
  ['a resync in the middle', [...live(a1), ...resync(a3, gone4), ...live(a5)], [history], 1],
  ['a resync at the end', [...live(a1, b2), ...resync(gone4, a5)], [history], 1],
  ['a resync over a restore', [...live(a1, b2, a3), ...resync(a1, other3), ...live(other4)], restored, 1],
  ['a restore of what it had not been told of yet', live(a1, b2, other3, other4), restored, 0],
];
for (const [what, told, timelines, resyncs] of right) {
  test(`${what} is right`, (t) => t.is(checkTold(told, timelines), resyncs));
}

const wrong: readonly [string, Told[], readonly (readonly HistoryEvent[])[]][] = [
  ['a missed event', live(a1, b2, gone4, a5), [history]],
  ['a missed event at the end', live(a1, b2, a3, gone4), [history]],
  ['a repeated event', live(a1, b2, b2, a3, gone4, a5), [history]],
  ['two events out of order', live(a1, a3, b2, gone4, a5), [history]],
  ['another value', live(event(1, 'a', 'x'), b2, a3, gone4, a5), [history]],
  ['a resync that leaves something out', [...live(a1, b2), ...resync(a3), ...live(a5)], [history]],
  ['a resync that skips a later event', [...live(a1), ...resync(b2), ...live(gone4, a5)], [history]],
  ['a restore without a resync', live(a1, b2, a3, other4), restored],
  ['the end of another timeline', live(...history), restored],
];
for (const [what, told, timelines] of wrong) {
  test(`${what} is found`, (t) => void t.throws(() => checkTold(told, timelines)));
}
