import test from 'ava';
import { judgeChanges, judgeReads, judgeServed, type Fact } from './following.ts';
import type { Change, History, HistoryEvent } from './history.ts';

/* The judges of what readers were told and served, on histories that are wrong in one way each. */

function historyOf(...events: HistoryEvent[]): History {
  return { client: 'a.1', events };
}

const rulesOf = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[0] ?? '');

const facts: readonly Fact[] = [
  { revision: 1n, key: 'x', value: 'x1', at: 1 },
  { revision: 2n, key: 'y', value: 'y1', at: 2 },
  { revision: 3n, key: 'x', value: 'x2', at: 3 },
  { revision: 4n, key: 'y', value: undefined, at: 4 },
  { revision: 5n, key: 'x', value: 'x3', at: 5 },
  { revision: 6n, key: 'x', value: 'x4', at: 6 },
];

function changes(...revisions: (number | [number, 'resynced'])[]): History {
  const told = revisions.map((each): Change => {
    const [place, resynced] = typeof each === 'number' ? [each, false] : [each[0], true];
    const { revision, key, value } = facts[place - 1] as Fact;
    const what = value === undefined ? {} : { value };
    return { kind: 'change', workload: 'cache', key, ...what, revision, resynced, at: 0 };
  });
  return historyOf(...told);
}

for (const [what, isRight, history] of [
  ['all from the beginning', true, changes(1, 2, 3, 4, 5, 6)],
  ['a state, and what follows', true, changes(2, 3, 4, 5, 6)],
  ['a state of one key', true, changes(5, 6)],
  ['a state that never was', false, changes(1, 4, 5, 6)],
  ['a resync over a gap', true, changes(1, 2, [4, 'resynced'], [5, 'resynced'], 6)],
  ['a state, then a resync', true, changes(5, [6, 'resynced'])],
  ['a state, then a resync that is wrong', false, changes(2, 3, [5, 'resynced'], 6)],
  ['a gap', false, changes(1, 2, 3, 5, 6)],
  ['a repetition', false, changes(1, 2, 3, 3, 4, 5, 6)],
  ['a wrong order', false, changes(1, 2, 4, 3, 5, 6)],
  ['a resync that leaves out a delete', false, changes(1, 2, [5, 'resynced'], 6)],
  ['a resync to an old value', false, changes(1, 2, [3, 'resynced'], [4, 'resynced'], 6)],
  ['an end too early', false, changes(1, 2, 3, 4, 5)],
] as const) {
  test(`what a watch told: ${what} is ${isRight ? 'right' : 'wrong'}`, (t) => {
    t.is(judgeChanges(history, 'cache', facts, 6).length, isRight ? 0 : 1);
  });
}

test('an event that never happened is wrong', (t) => {
  const invented: Change = {
    kind: 'change',
    workload: 'cache',
    key: 'x',
    value: 'no',
    revision: 3n,
    resynced: false,
    at: 0,
  };
  t.is(judgeChanges(historyOf(...changes(1, 2).events, invented, ...changes(6).events), 'cache', facts, 6).length, 1);
});

test('a value that never was, goes back, is older than it says, or hides an own write, is wrong', (t) => {
  const served = (place: number, at: number, ageMs: number, afterWrite?: string): HistoryEvent => {
    const { revision, key, value = '' } = facts[place - 1] as Fact;
    const own = afterWrite === undefined ? {} : { afterWrite };
    return { kind: 'served', workload: 'cache', key, value, revision, ageMs, ...own, at };
  };
  const rules = (...events: HistoryEvent[]): string[] =>
    rulesOf(
      judgeServed(
        historyOf(...events),
        'cache',
        facts,
        new Map([
          ['x2', 100],
          ['x4', 90],
        ]),
      ),
    );
  t.deepEqual(rules(served(1, 80, 0), served(3, 120, 40), served(6, 500, 1)), []);
  t.deepEqual(rules({ kind: 'served', workload: 'cache', key: 'x', value: 'y1', revision: 2n, ageMs: 9, at: 1 }), [
    'C1',
  ]);
  t.deepEqual(rules(served(3, 1, 1), served(1, 2, 2)), ['C2']);
  /* What is newer than its successor supersedes as well. */
  t.deepEqual(rules(served(1, 120, 29)), ['C3']);
  t.deepEqual(rules(served(3, 1, 1, 'x3')), ['C4']);
});

test('a linearizable read that is older than what was acknowledged before it is wrong', (t) => {
  const read = { kind: 'call', id: 1, workload: 'cache', what: 'read', limitMs: 1_000, key: 'x', at: 100 } as const;
  const wrong = (revision: bigint, ackedAt: number): number => {
    const settled: HistoryEvent = { kind: 'settled', id: 1, outcome: 'ok', revision, at: 101 };
    return judgeReads(historyOf(read, settled), facts, new Map([['x3', ackedAt]])).length;
  };
  t.deepEqual([wrong(3n, 99), wrong(5n, 99), wrong(6n, 99), wrong(3n, 101)], [1, 0, 0, 0]);
});
