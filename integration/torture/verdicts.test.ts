import test from 'ava';
import { packToken } from '../../lib/queue/token.ts';
import { longestWaitMs, waitsOf } from '../servers/starvation.ts';
import { weaknesses } from './canary.ts';
import { floorsFor, isEnough, MATRIX, shortfalls, withAuthentication, type Tally } from './floors.ts';
import { growthOf, judgeGrowth } from './growth.ts';
import { workloads, type Exclusive, type History, type HistoryEvent } from './history.ts';
import { judge, judgeRecovery, judgeStops, type Evidence } from './judgement.ts';
import type { Hit } from './nemesis.ts';
import { reportOf } from './report.ts';
import { endedCalls, judgeCounter, judgeDeadlines, judgeWrites } from './settling.ts';
import type { LoggedEvent } from './store-log.ts';
import { judgeRestarts, judgeTicks, type TickRecord } from './ticks.ts';

/* The judges of a run under torture, on histories that are wrong in one way each. */

function historyOf(...events: HistoryEvent[]): History {
  return { client: 'a.1', events };
}

const rulesOf = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[0] ?? '');

test('each partition, and each turn at a key, is judged by itself', (t) => {
  const holding = (client: string, workload: Exclusive, own: bigint, from: number): History => ({
    client,
    events: [
      { kind: 'granted', workload, token: own, since: from - 1, at: from },
      { kind: 'held', workload, token: own, at: from },
      { kind: 'held', workload, token: own, at: from + 10 },
    ],
  });
  const own = packToken({ epoch: 0, revision: 1n, handoff: 0 });
  const queues = ['partition/orders/1', 'partition/orders/2', 'once-turn/a', 'once-turn/b'];
  const log = queues.map((queue) => logged(1n, '', `torture/${queue}/7-x`));
  const rules = (...histories: History[]): string[] => rulesOf(judge(restored([log, log], ...histories)).violations);
  for (const [one, other] of [
    ['partition 1', 'partition 2'],
    ['turn a', 'turn b'],
  ] as const) {
    t.deepEqual(rules(holding('a.1', one, own, 10), holding('a.2', other, own, 15)), []);
    t.deepEqual(rules(holding('a.1', one, own, 10), holding('a.2', one, own + 1n, 15)), ['L2/E1']);
    t.deepEqual(rules(holding('a.1', one, own + 1n, 10), holding('a.2', one, own, 25)), ['L1', 'E2']);
    t.deepEqual(rules(holding('a.1', one, own + 4_096n, 10)), ['L2'], 'the store knows nothing of it');
  }
});

test('an owner that does not go when it is told to is wrong', (t) => {
  const stop = { ...call, workload: 'partition', what: 'stop' } as const;
  const ended = (...settled: HistoryEvent[]): string[] => rulesOf(judgeStops(endedCalls(historyOf(stop, ...settled))));
  t.deepEqual(ended({ kind: 'settled', id: 1, outcome: 'ok', at: 5 }), []);
  t.deepEqual(ended(), [], 'its process was killed');
  t.deepEqual(ended({ kind: 'settled', id: 1, outcome: 'unknown', code: 'WORK_STUCK', at: 5 }), ['P3']);
});

test('what still stands on leases with nobody left is wrong', (t) => {
  const { violations } = judge({ ...restored([]), leftovers: ['torture/registry/services/7-a'] });
  t.deepEqual(rulesOf(violations), ['L4']);
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
  const { schedule: _, ...recovered } = Object.fromEntries(workloads.map((each) => [each, 1]));
  const hits = [{ fault: 'cut', client: 'a', at: 0, until: 1, hit: true }];
  t.regex(judgeRecovery([{ hits, healedAt: 1, recovered }], 9_000).join(), /^L6 schedule: .* cut a$/);
});

test('starved for as long as its most starved thread is who waited for a processor', (t) => {
  const before = new Map([
    ['1/1', 100],
    ['1/2', 5],
  ]);
  t.is(longestWaitMs(before, new Map([...before, ['1/2', 25], ['1/3', 15]])), 20);
  t.is(longestWaitMs(before, before), 0);
  t.is(longestWaitMs(before, new Map()), 0);
  t.deepEqual(waitsOf([0]), new Map());
});

test('what was started before the backup is not started again, and what was started later may be', (t) => {
  const start = (tick: number, attempt: number, at: number): HistoryEvent => {
    return { kind: 'start', scheduledFor: tick * 1_000, attempt, token: 1n, at };
  };
  const before = [historyOf(start(1, 1, 1_010), start(2, 1, 2_010))];
  const again = (...events: HistoryEvent[]): string[] => rulesOf(judgeRestarts(before, [historyOf(...events)], 1_500));
  t.deepEqual(again(start(2, 1, 9_000), start(1, 2, 9_000)), []);
  t.deepEqual(again(start(1, 1, 9_000)), ['T1']);
});

/* Two eras: before a restore a.1 puts x1 and x2, of which the backup has the first, and after it a.2 puts x3. */
const CACHE_KEY = 'torture/cache/routes/x';

function logged(revision: bigint, value: string, key = CACHE_KEY, lease = 0n): LoggedEvent {
  const entry = { key, value, createRevision: revision, modRevision: revision, version: 1n, lease };
  return { type: 'put', entry, at: Number(revision) };
}

function putting(id: number, value: string, at: number): HistoryEvent[] {
  const about = { workload: 'cache', what: 'put', limitMs: 1_000, key: 'x', value } as const;
  return [
    { kind: 'call', id, ...about, at },
    { kind: 'settled', id, outcome: 'ok', at: at + 1 },
  ];
}

function restored(logs: readonly LoggedEvent[][], ...histories: History[]): Evidence {
  const [before = [], after = []] = logs;
  const nothing = { accepted: [], final: 0 };
  return {
    histories,
    eras: [
      { clients: ['a.1'], log: before, records: [] },
      { clients: ['a.2'], log: after, records: [], backup: { revision: 1n, at: 15 } },
    ],
    ...{
      survivors: [],
      rounds: [],
      disturbances: [],
      faults: [],
      milestones: [],
      leftOut: [],
      leftovers: [],
      authentications: 0,
    },
    register: { guarded: nothing, bare: nothing },
    ...{ ttlMs: 3_000, patienceMs: 1, toldUntilMs: 0 },
  };
}

test('a write is to be in the store of its own era', (t) => {
  const first = { client: 'a.1', events: [...putting(1, 'x1', 10), ...putting(2, 'x2', 20)] };
  const second = { client: 'a.2', events: putting(1, 'x3', 40) };
  const [x1, x2, x3] = [logged(1n, 'x1'), logged(2n, 'x2'), logged(2n, 'x3')];
  const rules = (...logs: LoggedEvent[][]): string[] => rulesOf(judge(restored(logs, first, second)).violations);
  t.deepEqual(rules([x1, x2], [x1, x3]), [], 'the second is lost by the restore');
  t.deepEqual(rules([x1], [x1, x3]), ['D2'], 'the second was never there');
  t.deepEqual(rules([x1, x2], [x1]), ['D2'], 'the third is lost, though it came after the restore');
});

test('a value of before the restore that is served after it is wrong', (t) => {
  const served = (revision: bigint, value: string): History => ({
    client: 'a.2',
    events: [{ kind: 'served', workload: 'cache', key: 'x', value, revision, ageMs: 1, at: 50 }],
  });
  const logs = [
    [logged(1n, 'x1'), logged(2n, 'x2')],
    [logged(1n, 'x1'), logged(2n, 'x3')],
  ];
  const rules = (history: History): string[] => rulesOf(judge(restored(logs, history)).violations);
  t.deepEqual(rules(served(1n, 'x1')), []);
  t.deepEqual(rules(served(2n, 'x3')), []);
  t.deepEqual(rules(served(2n, 'x2')), ['C1']);
});

test('tokens that do not rise over a restore are wrong, and a revoked lease is that of its epoch', (t) => {
  const token = (epoch: number, revision: bigint): bigint => packToken({ epoch, revision, handoff: 0 });
  const holding = (client: string, own: bigint, from: number, to: number): History => ({
    client,
    events: [
      { kind: 'granted', workload: 'lock', token: own, since: from - 1, at: from },
      { kind: 'held', workload: 'lock', token: own, at: from },
      { kind: 'held', workload: 'lock', token: own, at: to },
    ],
  });
  const logs = [
    [logged(1n, '', 'torture/lock/a', 7n), logged(9n, '', 'torture/lock/b', 7n)],
    [logged(1n, '', 'torture/lock/a', 7n), logged(2n, '', 'torture/lock/c', 8n)],
  ];
  const old = holding('a.1', token(0, 9n), 10, 20);
  const rules = (...histories: History[]): string[] => rulesOf(judge(restored(logs, ...histories)).violations);
  t.deepEqual(rules(old, holding('a.2', token(1, 2n), 30, 40)), []);
  t.deepEqual(rules(old, holding('a.2', token(0, 2n), 30, 40)), ['L1', 'E2']);

  const next = holding('a.3', token(1, 5n), 35, 60);
  const revoked = (lease: bigint): number =>
    judge({
      ...restored(logs, holding('a.2', token(1, 2n), 30, 40), next),
      disturbances: [{ why: 'a revoked lease', lease, at: 34 }],
    }).allowed.length;
  t.deepEqual([revoked(7n), revoked(8n)], [0, 1]);
});

test('members and records are held against the store of their own era', (t) => {
  const member = JSON.stringify({ instanceId: 'a.2', address: 'a.2/1', metadata: { step: '0' } });
  const registered = logged(2n, member, 'torture/registry/services/7-a');
  const record = logged(3n, JSON.stringify({ value: 'v', by: 'a.2', token: '4096' }), 'torture/once/a');
  const mark = logged(4n, '60', 'torture/mark');
  const left: HistoryEvent[] = [
    { kind: 'call', id: 1, workload: 'registry', what: 'leave', limitMs: 1_000, key: 'a.2/1', at: 50 },
    { kind: 'settled', id: 1, outcome: 'ok', at: 55 },
  ];
  const shown: HistoryEvent = {
    ...{ kind: 'shown', workload: 'registry', how: 'members', members: 'a.2/1 0', revision: 2n },
    ...{ ageMs: 0, isRegistered: true, at: 1 },
  };
  const rules = (client: string, events: readonly HistoryEvent[], ...after: LoggedEvent[]): string[] =>
    rulesOf(judge(restored([[], after], { client, events })).violations);
  t.deepEqual(rules('a.2', left, registered, mark), ['G1']);
  t.deepEqual(rules('a.2', left, registered), []);
  t.deepEqual(rules('a.1', left, registered, mark), [], 'the backup brings it back');
  t.deepEqual(rules('a.2', [shown], registered), []);
  t.deepEqual(rules('a.1', [shown], registered), ['C1'], 'in its time there was nobody');
  t.deepEqual(rules('a.2', [], record), ['O1', 'O1'], 'nobody had the turn, or did the work');
});

function living(...sizes: readonly (readonly [megabytes: number, handles: number])[]): History {
  return historyOf(
    ...sizes.map(([megabytes, handles], index): HistoryEvent => ({
      ...{ kind: 'resources', heapBytes: megabytes * 1e6, handles, at: index * 2_000 },
    })),
  );
}

test('a heap and handles that grow through a life are wrong, and those that go up and down are not', (t) => {
  const grown = (sizeAt: (index: number) => readonly [number, number]): number =>
    judgeGrowth(growthOf(living(...Array.from({ length: 60 }, (_, index) => sizeAt(index)))) ?? t.fail()).length;
  t.is(
    grown((index) => [index % 7 === 0 ? 20 : 60, 10 + (index % 5) * 30]),
    0,
  );
  t.is(
    grown((index) => [20 + index * 0.5, 10]),
    1,
  );
  t.is(
    grown((index) => [20, 10 + index]),
    1,
  );
  t.is(growthOf(living([20, 1], [90, 99])), undefined, 'too short to say');
});

test('a run that did nothing is told all that it lacks', (t) => {
  const nothing = reportOf({ ...restored([[], []]), faults: ['a cut'], milestones: ['a restore'] });
  t.is(shortfalls(nothing, withAuthentication(MATRIX)).length, 23);
  t.is(shortfalls({ ...nothing, milestones: [], faults: [] }, floorsFor(0)).length, 0);
  t.regex(shortfalls(nothing, floorsFor(0)).join(), /0 of 1 hits of: a restore/);
});

test('a run is not done while a fault has not hit often enough, or no guard has refused or been missed', (t) => {
  const hit: Hit = { fault: 'a cut', at: 1, until: 2, hit: true };
  const enough: Tally = { faults: ['a cut'], hits: [hit, hit], refused: 1, lost: 1 };
  t.true(isEnough(enough, MATRIX));
  for (const less of [{ hits: [hit] }, { faults: ['a cut', 'a stop'] }, { refused: 0 }, { lost: 0 }]) {
    t.false(isEnough({ ...enough, ...less }, MATRIX));
  }
});

test('a canary that lives through it shows a weak harness', (t) => {
  const lines = { lostUpdates: ['F3'], twoHolders: ['L2'], twoLeaders: ['E1'], hastyLeaves: ['G1'] };
  const found = { faults: 9, writes: 9, lost: 1, ...lines };
  t.deepEqual(weaknesses(found), []);
  t.is(weaknesses({ ...found, faults: 0 }).length, 1);
  t.is(weaknesses({ ...found, lostUpdates: [] }).length, 1);
  t.is(weaknesses({ ...found, twoHolders: [] }).length, 1);
  t.is(weaknesses({ ...found, twoLeaders: [] }).length, 1);
  t.is(weaknesses({ ...found, hastyLeaves: [] }).length, 1);
});
