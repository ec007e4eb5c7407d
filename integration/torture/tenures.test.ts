import test from 'ava';
import type { History, HistoryEvent } from './history.ts';
import { handovers, judgeLosses, judgeTenures, tenuresOf, type Tenure } from './tenures.ts';

/* The judges of who held what, on histories that are wrong in one way each. */

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

test('who learns of a turn after the next one, when its lease was revoked meanwhile, is excused one delivery', (t) => {
  const judged = (ms: number, at: number): readonly string[] => {
    const tenures = [tenure('a', 2n, 1_000, 2_000, 0), tenure('b', 1n, 1_060, 1_000 + ms, 0)];
    const { violations, allowed } = judgeTenures('lock', {
      ...calm,
      tenures,
      disturbances: [{ why: 'a woken leader', at }],
    });
    return [...rulesOf(violations), ...allowed.map(() => 'allowed')];
  };
  t.deepEqual(judged(70, 800), ['allowed', 'allowed']);
  t.deepEqual(judged(260, 800), ['E2', 'L2/E1'], 'for too long');
  t.deepEqual(judged(70, 1_010), ['E2', 'L2/E1'], 'later');
});

test('a deposition of which only the span is known excuses from its beginning to its end', (t) => {
  const excused = (at: number, until: number): number => {
    const tenures = [tenure('a', 1n, 1_000, 20_400, 0), tenure('b', 2n, 20_000, 30_000, 0)];
    const disturbances = [{ why: 'a deposed leader', at, until } as const];
    return judgeTenures('lock', { ...calm, tenures, disturbances }).allowed.length;
  };
  t.is(excused(16_000, 16_600), 1);
  t.is(excused(15_000, 16_400), 0, 'over by then');
  t.is(excused(20_001, 20_300), 0, 'not begun yet');
});

test('what is held after it was said to be lost is wrong', (t) => {
  const held = (at: number, token = 5n): HistoryEvent => ({ kind: 'held', workload: 'lock', token, at });
  const lost: HistoryEvent = { kind: 'lost', workload: 'lock', token: 5n, at: 2 };
  t.deepEqual(judgeLosses(historyOf(held(1), lost, held(3, 6n))), []);
  t.deepEqual(rulesOf(judgeLosses(historyOf(held(1), lost, held(3), held(4)))), ['L3']);
});

test('two partitions can have one token, and the loss of one is not that of the other', (t) => {
  const lost: HistoryEvent = { kind: 'lost', workload: 'partition 1', token: 5n, at: 2 };
  const held = (partition: number): HistoryEvent => ({
    ...{ kind: 'held', workload: `partition ${partition}`, token: 5n, at: 3 },
  });
  t.deepEqual(judgeLosses(historyOf(lost, held(2))), []);
  t.deepEqual(rulesOf(judgeLosses(historyOf(lost, held(1)))), ['L3']);
});

test('a hand-over is one from a process to another', (t) => {
  const tenures = [tenure('a', 1n, 1, 2), tenure('b', 3n, 5, 6), tenure('a', 2n, 3, 4), tenure('a', 4n, 7, 8)];
  t.is(handovers(tenures), 2);
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
