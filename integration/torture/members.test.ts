import test from 'ava';
import type { History, HistoryEvent, Shown } from './history.ts';
import { judgeLeaves, judgeShown, memberStates } from './members.ts';
import { revisionsAfter, standsBelow } from './stands.ts';
import type { LoggedEvent } from './store-log.ts';

/* The judges of the registry, on histories that are wrong in one way each. */

const PREFIX = 'torture/registry/services/';
const rulesOf = (lines: readonly string[]): string[] => lines.map((line) => line.split(' ')[0] ?? '');

/** The run learns of each event ten times its revision after the beginning. */
function put(revision: bigint, place: string, address: string, step = 0, createRevision = revision): LoggedEvent {
  const value = JSON.stringify({ instanceId: 'a.1', address, metadata: { step: String(step) } });
  const entry = { key: `${PREFIX}${place}`, value, createRevision, modRevision: revision, version: 1n, lease: 7n };
  return { type: 'put', entry, at: Number(revision) * 10 };
}

function gone(revision: bigint, place: string): LoggedEvent {
  return { type: 'delete', key: `${PREFIX}${place}`, modRevision: revision, at: Number(revision) * 10 };
}

const log = [
  put(1n, 'l1', 'a'),
  put(3n, 'l2', 'b'),
  put(5n, 'l1', 'a', 1, 1n),
  put(7n, 'l3', 'a'),
  gone(9n, 'l1'),
  gone(9n, 'l3'),
];

test('who was there is told by revisions: the newer registration of an address counts, and a revision is one state', (t) => {
  const states = memberStates(log, PREFIX).map(({ revision, members }) => [Number(revision), members]);
  t.deepEqual(states, [
    [0, ''],
    [1, 'a 0'],
    [3, 'a 0\nb 0'],
    [5, 'a 1\nb 0'],
    [7, 'a 0\nb 0'],
    [9, 'b 0'],
  ]);
});

function showing(...shown: readonly Partial<Shown>[]): History {
  const events = shown.map((each): HistoryEvent => ({
    ...{ kind: 'shown', workload: 'registry', how: 'watch', members: 'a 0\nb 0', revision: 4n },
    ...{ ageMs: 0, isRegistered: true, at: 45, ...each },
  }));
  return { client: 'a.1', events };
}

for (const [what, rules, history, untilMs] of [
  ['a state, between two revisions', [], showing({})],
  ['a state and the next', [], showing({}, { members: 'a 1\nb 0', revision: 5n })],
  ['an age that covers what came after', [], showing({ at: 80, ageMs: 30 })],
  ['the last that happened in time', [], showing({ members: 'b 0', revision: 9n }), 95],
  ['what was due, and more is not', [], showing({ members: 'a 0\nb 0', revision: 8n, ageMs: 90 }), 89],
  ['somebody who was not there', ['C1'], showing({ members: 'a 0\nb 0\nc 0' })],
  ['what somebody says too soon', ['C1'], showing({ members: 'a 1\nb 0' })],
  ['what goes back', ['C2'], showing({ members: 'a 1\nb 0', revision: 6n }, {})],
  ['an age that is too small', ['C3'], showing({ at: 80, ageMs: 29 })],
  ['too little in the end', ['W1'], showing({}), 95],
  ['nothing from the watch in the end', ['W1'], showing({ how: 'members', members: 'b 0', revision: 9n }), 95],
] as const) {
  test(`of who is there is shown: ${what}: ${rules.join(', ') || 'right'}`, (t) => {
    t.deepEqual(rulesOf(judgeShown(history, memberStates(log, PREFIX), untilMs)), [...rules]);
  });
}

test('who came and went again has made nothing staler, once that had happened', (t) => {
  const passing = [put(1n, 'l1', 'a'), put(3n, 'l2', 'b'), gone(5n, 'l2'), put(9n, 'l2', 'b')];
  const rules = (at: number, ageMs: number): string[] => {
    const history = showing({ members: 'a 0', revision: 1n, at, ageMs });
    return rulesOf(judgeShown(history, memberStates(passing, PREFIX)));
  };
  t.deepEqual(rules(45, 14), ['C3']);
  t.deepEqual(rules(55, 0), []);
  t.deepEqual(rules(95, 5), []);
  t.deepEqual(rules(95, 4), ['C3']);
});

test('a registration that stands, or comes back, after it was taken back is wrong', (t) => {
  const leaving = (settledAt: number, outcome: 'ok' | 'failed' = 'ok'): History => {
    const about = { workload: 'registry', what: 'leave', limitMs: 1_000, key: 'a' } as const;
    const events: HistoryEvent[] = [
      { kind: 'call', id: 1, ...about, at: settledAt - 5 },
      { kind: 'settled', id: 1, outcome, at: settledAt },
    ];
    return { client: 'a.1', events };
  };
  const rules = (history: History, events: readonly LoggedEvent[] = log): string[] => {
    const writes = [
      { askedAt: 61, revision: 6n },
      { askedAt: 92, revision: 10n },
    ];
    return rulesOf(judgeLeaves(history, standsBelow(events, PREFIX), revisionsAfter(writes)));
  };
  t.deepEqual(rules(leaving(91)), []);
  t.deepEqual(rules(leaving(60)), ['G1'], 'it stood at 6');
  t.deepEqual(rules(leaving(60, 'failed')), [], 'it did not say that it is gone');
  t.deepEqual(rules(leaving(99)), [], 'nothing shows that it was over');
  t.deepEqual(rules(leaving(91), [...log, put(12n, 'l4', 'a')]), ['G1'], 'it came back');
  t.deepEqual(rules(leaving(91), [...log, put(12n, 'l4', 'c')]), [], 'another came');
  t.deepEqual(rules(leaving(91), log.slice(0, -1)), ['G1'], 'one of two is left');
});

test('what was asked for after an instant shows that it is over, whatever the order in which it was done', (t) => {
  const after = revisionsAfter([
    { askedAt: 30, revision: 5n },
    { askedAt: 10, revision: 3n },
    { askedAt: 20, revision: 8n },
  ]);
  t.deepEqual(
    [5, 10, 20, 29, 30].map((at) => after(at)),
    [3n, 5n, 5n, 5n, undefined],
  );
  t.is(revisionsAfter([])(1), undefined);
});
