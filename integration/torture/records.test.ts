import test from 'ava';
import { packToken } from '../../lib/queue/token.ts';
import type { Returned } from './history.ts';
import { judgeOnce, onceRecord, type OnceEvidence } from './records.ts';
import type { Ended } from './settling.ts';
import { revisionsAfter, standsBelow } from './stands.ts';
import type { LoggedEvent } from './store-log.ts';
import type { Tenure } from './tenures.ts';

/* The judges of what is done once, on histories that are wrong in one way each. */

const RECORD = 'torture/once/k';
const TURNS = 'torture/once-turn/k/';
const LEASE = 7n;

const token = (revision: bigint): bigint => packToken({ epoch: 0, revision, handoff: 0 });

/** The run learns of each event ten times its revision after the beginning. */
function put(revision: bigint, key: string, value = '', createRevision = revision): LoggedEvent {
  const entry = { key, value, createRevision, modRevision: revision, version: 1n, lease: LEASE };
  return { type: 'put', entry, at: Number(revision) * 10 };
}

function gone(revision: bigint, key: string): LoggedEvent {
  return { type: 'delete', key, modRevision: revision, at: Number(revision) * 10 };
}

function record(revision: bigint, value: string, turn: bigint): LoggedEvent {
  return put(revision, RECORD, JSON.stringify({ value, by: 'a.1', token: String(token(turn)) }));
}

/* Two have turns; the second puts its record after that of the first has ended. */
const queued = [put(1n, `${TURNS}a`), put(2n, `${TURNS}b`)];
const first = [...queued, record(4n, 'v1', 1n), gone(5n, `${TURNS}a`)];
const log = [...first, gone(7n, RECORD), record(9n, 'v2', 2n), gone(10n, `${TURNS}b`)];
const returned: readonly Returned[] = [
  { kind: 'returned', key: 'k', token: token(1n), value: 'v1', at: 35 },
  { kind: 'returned', key: 'k', token: token(2n), value: 'v2', at: 85 },
];

/** Whoever writes all the time shows at once that an instant is over. */
const revisionAfter = revisionsAfter(
  Array.from({ length: 20 }, (_, index) => ({ askedAt: index * 10 + 1, revision: BigInt(index + 1) })),
);

function evidence(part: Partial<OnceEvidence> & { readonly log?: readonly LoggedEvent[] }): OnceEvidence {
  const { log: events = log } = part;
  return {
    records: new Map([['k', standsBelow(events, RECORD).map(onceRecord)]]),
    turns: new Map([['k', standsBelow(events, TURNS)]]),
    ...{ returned, calls: [], tenures: new Map(), revisionAfter },
    excuses: { disturbances: [], leaseOf: () => LEASE, stalls: new Map(), ttlMs: 3_000 },
    ...part,
  };
}

function rules(part: Parameters<typeof evidence>[0]): string[] {
  return judgeOnce(evidence(part)).violations.map((line) => line.split(' ')[0] ?? '');
}

test('records of turns, one after the other, are right', (t) => {
  t.deepEqual(judgeOnce(evidence({})), { violations: [], allowed: [] });
});

for (const [what, events] of [
  ['over another', [...first, record(9n, 'v2', 2n)]],
  ['by the one that waits', [...queued, record(9n, 'v2', 2n)]],
  ['by one whose turn is over', [...queued, gone(3n, `${TURNS}a`), record(4n, 'v1', 1n)]],
  ['of work that has not ended', [...queued, record(3n, 'v1', 1n)]],
  ['of no work', [...queued, record(4n, 'v3', 1n)]],
  ['of another’s work', [...queued, gone(3n, `${TURNS}a`), record(4n, 'v1', 2n)]],
  ['a second time', [...queued, record(4n, 'v1', 1n), gone(5n, RECORD), record(6n, 'v1', 1n)]],
] as const) {
  test(`a record that is put ${what} is wrong`, (t) => {
    t.deepEqual(rules({ log: events }), ['O1']);
  });
}

function calling(what: 'once' | 'forget', at: number, settled: Partial<NonNullable<Ended['settled']>>): Ended {
  const call = { kind: 'call', id: 1, workload: 'once', what, limitMs: 9_000, key: 'k', value: 'v1', at } as const;
  return { client: 'a.1', call, settled: { kind: 'settled', id: 1, outcome: 'ok', at: at + 20, ...settled } };
}

for (const [what, found, ended] of [
  ['its own', [], calling('once', 30, { value: 'v1' })],
  ['what stands', [], calling('once', 45, { value: 'v1' })],
  ['what stood when it began', [], calling('once', 69, { value: 'v1' })],
  ['what came while it waited', [], { ...calling('once', 75, { value: 'v2' }), client: 'b.1' }],
  ['what had ended', ['O2'], calling('once', 75, { value: 'v1' })],
  ['what came later', ['O2', 'O5'], calling('once', 45, { value: 'v2' })],
  ['what never was', ['O2', 'O5'], calling('once', 45, { value: 'v3' })],
] as const) {
  test(`a call that gets ${what} is ${found.length === 0 ? 'right' : 'wrong'}`, (t) => {
    const own = found.length === 0 && what === 'what came while it waited' ? 'v9' : 'v1';
    const call = { ...ended.call, value: own };
    t.deepEqual(rules({ calls: [{ ...ended, call }] }), [...found]);
  });
}

test('work that is on record although its call says that it is not is wrong', (t) => {
  const failing = (code: string): string[] => rules({ calls: [calling('once', 30, { outcome: 'unknown', code })] });
  t.deepEqual(failing('LOCK_LOST'), ['O5']);
  t.deepEqual(failing('UNAVAILABLE'), ['O5']);
  t.deepEqual(failing('OUTCOME_UNKNOWN'), []);
  const { client, call } = calling('once', 30, {});
  t.deepEqual(rules({ calls: [{ client, call }] }), [], 'its process was killed');
});

test('a record that stands after it was taken back is wrong', (t) => {
  t.deepEqual(rules({ calls: [calling('forget', 51, {})] }), []);
  t.deepEqual(rules({ calls: [calling('forget', 41, { at: 45 })] }), ['O6']);
  t.deepEqual(rules({ calls: [calling('forget', 41, { at: 45, outcome: 'failed' })] }), []);
  t.deepEqual(rules({ calls: [calling('forget', 39, { at: 45 })] }), [], 'it came meanwhile');
});

test('work that begins while a record stands is wrong, unless its turn was taken from it a moment ago', (t) => {
  const beginning = (at: number): ReadonlyMap<string, readonly Tenure[]> =>
    new Map([['k', [{ client: 'b.1', token: token(2n), since: 0, grantedAt: at }]]]);
  t.deepEqual(rules({ tenures: beginning(39) }), []);
  t.deepEqual(rules({ tenures: beginning(45) }), ['O4']);
  t.deepEqual(rules({ tenures: beginning(75) }), []);

  const { excuses } = evidence({});
  const revoked = (lease: bigint): readonly number[] => {
    const disturbances = [{ why: 'a revoked lease', lease, at: 38 }] as const;
    const { violations, allowed } = judgeOnce(
      evidence({ tenures: beginning(45), excuses: { ...excuses, disturbances } }),
    );
    return [violations.length, allowed.length];
  };
  t.deepEqual(revoked(LEASE), [0, 1]);
  t.deepEqual(revoked(8n), [1, 0]);
});
