import test from 'ava';
import { findingsOf } from './findings.ts';
import type { Observation, Seen } from './observation.ts';

const tick = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 3, 0, second));

const read = (worker: string, source: 'live' | 'stale', ageMs: number, version = 1): Seen => ({
  type: 'read',
  worker,
  reads: 10_000,
  failed: 0,
  version,
  source,
  ageMs,
  tookMs: 1,
});

const ran = (worker: string, second: number, token: bigint): Seen => ({
  type: 'ran',
  worker,
  token,
  tick: tick(second).toISOString(),
});

const run = {
  trigger: 'schedule',
  attempt: 1,
  token: 1n,
  startedAt: tick(0),
  durationMs: 300,
  error: undefined,
} as const;

/** A run of the demo in which everything holds, shorter than a real one. Each entry comes 100 ms after the one before. */
const good: readonly Seen[] = [
  { type: 'serves', worker: 'ann', version: 1 },
  { type: 'serves', worker: 'ben', version: 1 },
  { type: 'act', act: 1, title: 'one' },
  { type: 'wrote', worker: 'ann', token: 10n, before: 0, value: 1 },
  { type: 'wrote', worker: 'ben', token: 20n, before: 1, value: 2 },
  { type: 'act', act: 2, title: 'two' },
  { type: 'stopped', worker: 'ann', pid: 7, token: 30n },
  { type: 'lease-ended', worker: 'ann', lease: 'a1' },
  { type: 'wrote', worker: 'ben', token: 40n, before: 2, value: 3 },
  { type: 'woken', worker: 'ann' },
  { type: 'refused', resource: 'counter', token: 30n, highest: 40n },
  { type: 'wrote', worker: 'ann', token: 50n, before: 3, value: 4 },
  { type: 'act', act: 3, title: 'three' },
  { type: 'holds', worker: 'ann', token: 60n },
  { type: 'holds', worker: 'ben', token: 61n },
  { type: 'cut' },
  read('ann', 'live', 400),
  read('ben', 'live', 300),
  { type: 'lapsed', worker: 'ann', token: 60n },
  { type: 'lost', worker: 'ann', token: 60n, lease: 'a2', code: 'LOCK_LOST' },
  { type: 'asked', worker: 'ann', code: 'UNAVAILABLE', tookMs: 1, waitedMs: 0 },
  { type: 'lapsed', worker: 'ben', token: 61n },
  { type: 'lost', worker: 'ben', token: 61n, lease: 'b1', code: 'LOCK_LOST' },
  { type: 'asked', worker: 'ben', code: 'UNAVAILABLE', tookMs: 1, waitedMs: 0 },
  { type: 'lease-ended', worker: 'ann', lease: 'a2' },
  { type: 'lease-ended', worker: 'ben', lease: 'b1' },
  read('ann', 'stale', 1_400),
  read('ben', 'stale', 1_300),
  { type: 'healed' },
  { type: 'holds', worker: 'ann', token: 70n },
  { type: 'holds', worker: 'ben', token: 71n },
  read('ann', 'live', 10),
  read('ben', 'live', 10),
  { type: 'act', act: 4, title: 'four' },
  { type: 'set', version: 2, value: {} },
  { type: 'serves', worker: 'ann', version: 2 },
  { type: 'serves', worker: 'ben', version: 2 },
  read('ann', 'live', 10, 2),
  read('ben', 'live', 10, 2),
  { type: 'calls', calls: 3 },
  { type: 'act', act: 5, title: 'five' },
  ran('ann', 1, 80n),
  { type: 'killed', worker: 'ann', pid: 7, tick: tick(1).toISOString() },
  ran('ben', 4, 90n),
  {
    type: 'history',
    records: [
      { ...run, state: 'abandoned', scheduledFor: tick(1), instanceId: 'ann' },
      { state: 'missed', scheduledFor: tick(2), until: tick(3), count: 2, instanceId: 'ben' },
      { ...run, state: 'finished', scheduledFor: tick(4), instanceId: 'ben' },
    ],
  },
];

function timed(seen: readonly Seen[]): readonly Observation[] {
  return seen.map((each, index) => ({ ...each, atMs: 100 * index }));
}

/** The names of what did not hold. */
function failed(seen: readonly Seen[]): readonly string[] {
  return findingsOf(timed(seen)).flatMap(({ name, held }) => (held ? [] : [name]));
}

/** The run with something else in the place of what matches. */
function instead(matches: (seen: Seen) => boolean, ...others: readonly Seen[]): readonly Seen[] {
  return good.flatMap((each) => (matches(each) ? others : [each]));
}

const isRead = (worker: string, ageMs: number) => (seen: Seen) =>
  seen.type === 'read' && seen.worker === worker && seen.ageMs === ageMs;

test('a run in which everything holds is found to hold, with what was seen', (t) => {
  const found = Object.fromEntries(findingsOf(timed(good)).map(({ name, held, found }) => [name, [held, found]]));
  t.deepEqual(found, {
    'tokens rise': [true, '4 writes by ann and ben, each with a greater token'],
    'no write lost': [true, '4 writes, and the counter says 4'],
    'late write refused': [true, 'ann came with 30 after 40, and nothing was written'],
    'lost before lease ends': [true, 'ann 600 ms before it, ben 400 ms before it'],
    'no lock without etcd': [true, 'ann UNAVAILABLE after 1.0 ms, ben UNAVAILABLE after 1.0 ms'],
    'reads go on, and age': [true, '40,000 reads, 0 failed; from 0.3 s (live) to 1.4 s (stale)'],
    'all recover': [true, 'each has a lock again within 200 ms, by a greater token, and reads live'],
    'change reaches all': [true, 'version 2: ann after 100.0 ms, ben after 200.0 ms'],
    'reads make no call': [true, '20,000 reads, and 3 calls of whatever kind to etcd meanwhile'],
    'another leader elected': [true, 'ben runs it 0.1 s after the end of ann, token 90 after 80'],
    'no tick run twice': [true, '2 runs of 2 ticks'],
    'every tick on record': [true, '4 ticks: 1 finished, 1 abandoned, 2 missed'],
    'story came to its end': [true, '5 acts'],
  });
});

test('of what was not put to the test nothing has held', (t) => {
  t.true(findingsOf([]).every(({ held }) => !held));
});

test('a worker that is starved is told of its loss after its lease, and of an outage late; that breaks no promise', (t) => {
  const isLoss = (seen: Seen) => seen.type === 'lost' && seen.worker === 'ann';
  const isAnswer = (seen: Seen) => seen.type === 'asked' && seen.worker === 'ann';
  const late = good.filter((seen) => isLoss(seen) || isAnswer(seen));
  const told = late.map((seen) => (seen.type === 'asked' ? { ...seen, tookMs: 1_500 } : seen));
  const healed = good.findIndex(({ type }) => type === 'healed');
  const soon = good.slice(0, healed).filter((seen) => !late.includes(seen));
  t.deepEqual(failed([...soon, ...told, ...good.slice(healed)]), []);
});

const mistakes: readonly (readonly [what: string, seen: readonly Seen[], found: readonly string[]])[] = [
  [
    'a late write goes through',
    instead((seen) => seen.type === 'refused', { type: 'wrote', worker: 'ann', token: 30n, before: 3, value: 3 }),
    ['tokens rise', 'no write lost', 'late write refused'],
  ],
  [
    'a late write is refused, and written all the same',
    instead(
      (seen) => seen.type === 'refused',
      { type: 'refused', resource: 'counter', token: 30n, highest: 40n },
      { type: 'wrote', worker: 'ann', token: 30n, before: 3, value: 4 },
    ),
    ['tokens rise', 'no write lost', 'late write refused'],
  ],
  ['a late write never arrives', instead((seen) => seen.type === 'refused'), ['late write refused']],
  [
    'a token is given twice',
    instead((seen) => seen.type === 'wrote' && seen.token === 50n, {
      type: 'wrote',
      worker: 'ann',
      token: 40n,
      before: 3,
      value: 4,
    }),
    ['tokens rise'],
  ],
  [
    'two writes go on from the same value',
    instead((seen) => seen.type === 'wrote' && seen.token === 50n, {
      type: 'wrote',
      worker: 'ann',
      token: 50n,
      before: 3,
      value: 3,
    }),
    ['no write lost'],
  ],
  [
    'a lock is valid for longer than its lease',
    instead(
      (seen) => seen.type === 'lapsed' && seen.worker === 'ann',
      { type: 'lease-ended', worker: 'ann', lease: 'a2' },
      { type: 'lapsed', worker: 'ann', token: 60n },
    ),
    ['lost before lease ends'],
  ],
  [
    'a lock is not lost at all',
    instead((seen) => seen.type === 'lost' && seen.worker === 'ben'),
    ['lost before lease ends'],
  ],
  [
    'a lock is granted in the outage',
    instead((seen) => seen.type === 'asked' && seen.worker === 'ben', {
      type: 'asked',
      worker: 'ben',
      code: undefined,
      tookMs: 1,
      waitedMs: 0,
    }),
    ['no lock without etcd'],
  ],
  [
    'a refusal takes as long as a call',
    instead((seen) => seen.type === 'asked' && seen.worker === 'ben', {
      type: 'asked',
      worker: 'ben',
      code: 'UNAVAILABLE',
      tookMs: 1_000,
      waitedMs: 990,
    }),
    ['no lock without etcd'],
  ],
  [
    'an outage is told as contention',
    instead((seen) => seen.type === 'asked' && seen.worker === 'ben', {
      type: 'asked',
      worker: 'ben',
      code: 'LOCK_TIMEOUT',
      tookMs: 1,
      waitedMs: 0,
    }),
    ['no lock without etcd'],
  ],
  [
    'a read says that it is live in the outage',
    instead(isRead('ann', 1_400), read('ann', 'live', 1_400)),
    ['reads go on, and age'],
  ],
  [
    'a read grows younger in the outage',
    instead(isRead('ann', 1_400), read('ann', 'stale', 1_400), read('ann', 'stale', 100)),
    ['reads go on, and age'],
  ],
  [
    'reads fail in the outage',
    instead(isRead('ben', 1_300), { ...(read('ben', 'stale', 1_300) as Extract<Seen, { type: 'read' }>), failed: 1 }),
    ['reads go on, and age'],
  ],
  ['one does not get a lock again', instead((seen) => seen.type === 'holds' && seen.token === 71n), ['all recover']],
  [
    'one gets it again with an older token',
    instead((seen) => seen.type === 'holds' && seen.token === 71n, { type: 'holds', worker: 'ben', token: 5n }),
    ['all recover'],
  ],
  [
    'one never serves a new version',
    instead((seen) => seen.type === 'serves' && seen.version === 2 && seen.worker === 'ben'),
    ['change reaches all'],
  ],
  [
    'one reads an old version after it has served the new one',
    instead((seen) => seen.type === 'calls', read('ben', 'live', 10, 1), { type: 'calls', calls: 3 }),
    ['change reaches all'],
  ],
  [
    'each read makes a call',
    instead((seen) => seen.type === 'calls', { type: 'calls', calls: 20_000 }),
    ['reads make no call'],
  ],
  [
    'the next leader has an older token',
    instead((seen) => seen.type === 'ran' && seen.worker === 'ben', ran('ben', 4, 75n)),
    ['another leader elected'],
  ],
  [
    'nobody leads after the first',
    instead((seen) => seen.type === 'ran' && seen.worker === 'ben'),
    ['another leader elected', 'no tick run twice'],
  ],
  [
    'a tick is run again by the next leader',
    instead((seen) => seen.type === 'ran' && seen.worker === 'ben', ran('ben', 1, 85n), ran('ben', 4, 90n)),
    ['no tick run twice'],
  ],
  [
    'a tick is run that has no record',
    instead((seen) => seen.type === 'ran' && seen.worker === 'ben', ran('ben', 4, 90n), ran('ben', 9, 91n)),
    ['every tick on record'],
  ],
  [
    'a tick is passed over in silence',
    instead((seen) => seen.type === 'history', {
      type: 'history',
      records: [
        { ...run, state: 'abandoned', scheduledFor: tick(1), instanceId: 'ann' },
        { ...run, state: 'finished', scheduledFor: tick(4), instanceId: 'ben' },
      ],
    }),
    ['every tick on record'],
  ],
  [
    'something was waited for in vain',
    [...good, { type: 'unseen', what: 'rests within 20000 ms' }],
    ['story came to its end'],
  ],
];

for (const [what, seen, names] of mistakes) {
  test(`it is found where ${what}`, (t) => {
    t.deepEqual(failed(seen), names);
  });
}
