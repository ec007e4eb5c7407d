import test from 'ava';
import { judgeChanges, judgeReads, judgeServed, type Fact } from './following.ts';
import type { Change, History, HistoryEvent } from './history.ts';
import { judgeRecovery } from './judgement.ts';
import { endedCalls, judgeCounter, judgeDeadlines, judgeWrites } from './settling.ts';
import { judgeTenures, tenuresOf, type Tenure } from './tenures.ts';
import { judgeTicks, type TickRecord } from './ticks.ts';

/* The judges of a run under torture, on histories that are wrong in one way each. */

function historyOf(...events: HistoryEvent[]): History {
  return { client: 'a.1', events };
}

function tenure(client: string, token: bigint, from: number, to: number, since = from - 1): Tenure {
  return { client, token, since, grantedAt: from, held: { from, to } };
}

const calm = { disturbances: [], leaseOf: () => 7n, stalls: new Map(), ttlMs: 3_000 };
const rulesOf = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[0] ?? '');

test('tenures one after the other, with rising tokens, are right', (t) => {
  const tenures = [tenure('a', 1n, 10, 20), tenure('b', 2n, 21, 30), tenure('a', 3n, 31, 40)];
  t.deepEqual(judgeTenures('lock', { ...calm, tenures }), { violations: [], allowed: [] });
});

for (const [what, rules, tenures] of [
  ['two hold at once', ['L2/E1'], [tenure('a', 1n, 10, 22), tenure('b', 2n, 21, 30, 5)]],
  [
    'one holds all along',
    ['L2/E1', 'L2/E1'],
    [tenure('a', 1n, 10, 99, 0), tenure('b', 2n, 21, 30, 0), tenure('c', 3n, 40, 50, 0)],
  ],
  ['a token falls', ['L1', 'E2'], [tenure('a', 2n, 10, 20), tenure('b', 1n, 21, 30)]],
  ['a token falls though both waited', ['E2'], [tenure('a', 2n, 10, 20, 0), tenure('b', 1n, 21, 30, 0)]],
  ['a token comes twice', ['L1', 'L1', 'E2'], [tenure('a', 1n, 10, 20), tenure('b', 1n, 21, 30)]],
] as const) {
  test(`tenures: ${what}`, (t) => {
    t.deepEqual(rulesOf(judgeTenures('lock', { ...calm, tenures }).violations), [...rules]);
  });
}

test('a revoked lease excuses one delivery, of its own tokens', (t) => {
  const overlapping = (ms: number): Tenure[] => [
    tenure('a', 1n, 1_000, 2_000 + ms, 0),
    tenure('b', 2n, 2_000, 9_000, 0),
  ];
  const excused = (ms: number, lease: bigint, at: number): number =>
    judgeTenures('lock', { ...calm, tenures: overlapping(ms), disturbances: [{ why: 'a revoked lease', lease, at }] })
      .allowed.length;
  t.is(excused(200, 7n, 1_990), 1);
  t.is(excused(400, 7n, 1_990), 0, 'for too long');
  t.is(excused(200, 8n, 1_990), 0, 'of another lease');
  t.is(excused(200, 7n, 2_010), 0, 'later');
});

test('a deposed leader of etcd excuses what it can have done, and not for ever', (t) => {
  const excused = (ms: number, at: number, why: 'a deposed leader' | 'a woken leader'): number => {
    const tenures = [tenure('a', 1n, 1_000, 20_000 + ms, 0), tenure('b', 2n, 20_000, 30_000, 0)];
    return judgeTenures('lock', { ...calm, tenures, disturbances: [{ why, at }] }).allowed.length;
  };
  t.deepEqual([excused(490, 17_000, 'a deposed leader'), excused(240, 19_000, 'a woken leader')], [1, 1]);
  t.deepEqual([excused(510, 17_000, 'a deposed leader'), excused(260, 19_000, 'a woken leader')], [0, 0]);
  t.deepEqual([excused(10, 16_000, 'a deposed leader'), excused(10, 18_000, 'a woken leader')], [0, 0]);
});

test('a tenure lasts from the first to the last time that it was held', (t) => {
  const history = historyOf(
    { kind: 'granted', workload: 'lock', token: 5n, since: 1, at: 2 },
    { kind: 'held', workload: 'lock', token: 5n, at: 3 },
    { kind: 'held', workload: 'election', token: 5n, at: 9 },
    { kind: 'held', workload: 'lock', token: 5n, at: 4 },
  );
  t.deepEqual(
    tenuresOf([history], 'lock'),
    [tenure('a.1', 5n, 3, 4, 1)].map((each) => ({ ...each, grantedAt: 2 })),
  );
});

test('a counter that lost a write, went back, or took a stale token, is wrong', (t) => {
  const write = (token: bigint, value: number): { write: string; token: bigint; value: number } => ({
    write: `${value}`,
    token,
    value,
  });
  t.deepEqual(judgeCounter([write(1n, 1), write(1n, 2), write(2n, 3)], 3), []);
  t.deepEqual(rulesOf(judgeCounter([write(1n, 1), write(2n, 1)], 1)), ['F3', 'F3']);
  t.deepEqual(rulesOf(judgeCounter([write(2n, 1), write(1n, 2)], 2)), ['F1']);
});

const call = {
  kind: 'call',
  id: 1,
  workload: 'cache',
  what: 'put',
  limitMs: 1_000,
  key: 'k',
  value: 'v',
  at: 0,
} as const;

test('a call that settles late, or never, is wrong, unless its process stood still', (t) => {
  const settled = (at: number): HistoryEvent => ({ kind: 'settled', id: 1, outcome: 'ok', at });
  t.deepEqual(judgeDeadlines(historyOf(call, settled(1_200))), []);
  t.deepEqual(rulesOf(judgeDeadlines(historyOf(call, settled(1_300)))), ['D1']);
  t.deepEqual(judgeDeadlines(historyOf(call, { kind: 'stall', from: 500, at: 700 }, settled(1_300))), []);
  t.deepEqual(rulesOf(judgeDeadlines(historyOf(call, { kind: 'stall', from: 1_300, at: 1_301 }))), ['D1']);
  t.deepEqual(judgeDeadlines(historyOf(call, { kind: 'stall', from: 900, at: 901 })), []);
});

test('an acknowledged write that is not there, a refused one that is, and any that is there twice, are wrong', (t) => {
  const wrong = (outcome: 'ok' | 'failed' | 'unknown' | undefined, times: number): number => {
    const settled: HistoryEvent[] = outcome === undefined ? [] : [{ kind: 'settled', id: 1, outcome, at: 5 }];
    const written = Array.from({ length: times }, () => 'v');
    return judgeWrites('put', endedCalls(historyOf(call, ...settled)), written).length;
  };
  t.deepEqual(
    [0, 1, 2].map((times) => wrong('ok', times)),
    [1, 0, 1],
  );
  t.deepEqual(
    [0, 1, 2].map((times) => wrong('failed', times)),
    [0, 1, 1],
  );
  t.deepEqual(
    [0, 1, 2].map((times) => wrong('unknown', times)),
    [0, 0, 1],
  );
  t.deepEqual(
    [0, 1, 2].map((times) => wrong(undefined, times)),
    [0, 0, 1],
  );
});

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
  const read = { ...call, what: 'read', key: 'x', at: 100 };
  const wrong = (revision: bigint, ackedAt: number): number => {
    const settled: HistoryEvent = { kind: 'settled', id: 1, outcome: 'ok', revision, at: 101 };
    return judgeReads(historyOf(read, settled), facts, new Map([['x3', ackedAt]])).length;
  };
  t.deepEqual([wrong(3n, 99), wrong(5n, 99), wrong(6n, 99), wrong(3n, 101)], [1, 0, 0, 0]);
});

test('a double start, a start without a record, and a lost tick are wrong', (t) => {
  const record = (tick: number): TickRecord => ({ token: BigInt(tick), from: tick * 1_000, until: tick * 1_000 });
  const start = (tick: number): HistoryEvent => ({
    kind: 'start',
    scheduledFor: tick * 1_000,
    attempt: 1,
    token: BigInt(tick),
    at: tick,
  });
  const records = [record(1), record(2), record(3)];
  t.deepEqual(judgeTicks([historyOf(start(1), start(2), start(3))], records), []);
  t.deepEqual(rulesOf(judgeTicks([historyOf(start(2), start(2))], records)), ['T1']);
  t.deepEqual(rulesOf(judgeTicks([historyOf(start(4))], records)), ['T1']);
  t.deepEqual(rulesOf(judgeTicks([], [record(1), record(4)])), ['T2', 'T2']);
  t.deepEqual(judgeTicks([], [record(1), { from: 2_000, until: 3_000 }, record(4)]), []);
});

test('a workload of which nothing comes after a fault is named', (t) => {
  const recovered = { lock: 1, election: 1, cache: 1, config: 1 };
  const hits = [{ fault: 'cut', client: 'a', at: 0, until: 1, hit: true }];
  t.regex(judgeRecovery([{ hits, healedAt: 1, recovered }], 9_000).join(), /^L6 schedule: .* cut a$/);
});
