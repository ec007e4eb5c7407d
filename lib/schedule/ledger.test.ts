import test from 'ava';
import { unpackToken } from '../queue/token.ts';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { Keyspace } from '../session/keyspace.ts';
import { Operations } from '../session/operations.ts';
import { Session } from '../session/session.ts';
import { marginMs } from '../session/ttl.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { KeyValue } from '../store/store.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import { readState } from './job-view.ts';
import { Ledger, type Standing } from './ledger.ts';
import type { Plan } from './policy.ts';
import { readRecord, runKey, type JobRecord } from './record.ts';

const keyspace = new Keyspace('test');
const keys = keyspace.job('report');
const LEADER = `${keyspace.queue('schedule', 'report')}1-a`;
const TICK = Date.UTC(2026, 0, 1, 3);
const settled = { atMs: TICK, pattern: '0 3 * * *', timezone: 'UTC' };
const plan: Plan = { start: TICK, missed: undefined, upToMs: TICK };

async function open(historyLimit = 100) {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect();
  const repetition = { baseMs: 50, capMs: 2_000, attemptTimeoutMs: 1_000, budget: new RetryBudget(runtime.clock) };
  const at = runtime.clock.now();
  const { ttlMs } = await store.grant(7n, 60_000, { timeoutMs: 1_000 });
  const identity = { lease: 7n, key: keyspace.session(7n), value: '{}' };
  cluster.put(identity.key, '{}', 7n);
  const health = { contact: () => {}, failure: () => {} };
  const session = new Session(runtime, store, health, identity, { at, ttlMs }, { marginMs, attemptTimeoutMs: 1_000 });
  session.advance(cluster.revision);
  const operations = new Operations(runtime, store, repetition, async () => session);
  const options = { instanceId: 'one', epochKey: keyspace.epoch, historyLimit };
  const ledger = new Ledger(runtime, store, repetition, operations, keys, options);
  const { signal } = new AbortController();
  cluster.put(LEADER, '');
  const leads = [{ key: LEADER, target: 'create', is: '=', than: cluster.revision }] as const;

  const settle = <T>(promise: Promise<T>): Promise<T> => runtime.clock.settle(promise);
  const standing = async (): Promise<Standing> => ({ leads, epoch: await settle(ledger.epoch(signal)) });
  const state = () => readState(keys, new Map(cluster.entries(keys.prefix).map((entry) => [entry.key, entry])));
  const records = (): (JobRecord | undefined)[] => cluster.entries(keys.history).map((entry) => readRecord(entry));
  /** How often a record `started` was ever put, by key. */
  const starts = (): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { key, value } of cluster.log.flatMap((entry) => puts(entry.events))) {
      if (!key.startsWith(keys.history) || !value.includes('"state":"started"')) continue;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  };
  return { runtime, cluster, store, session, ledger, signal, settle, standing, state, records, starts };
}

function puts(events: readonly ({ type: 'put'; entry: KeyValue } | { type: 'delete' })[]): KeyValue[] {
  return events.flatMap((event) => (event.type === 'put' ? [event.entry] : []));
}

test('a claim puts the record, moves the job, and its revision is in the token', async (t) => {
  const { cluster, ledger, signal, settle, standing, state, records } = await open();
  cluster.put(keyspace.epoch, '3');
  const missed = { fromMs: TICK - 7_200_000, toMs: TICK - 3_600_000, count: 2 };
  const written = await settle(
    ledger.claim(state(), await standing(), { ...plan, missed }, settled, TICK + 12, signal),
  );
  t.true(written.succeeded);
  const { claimed } = written;
  t.deepEqual(unpackToken(claimed!.token), { epoch: 3, revision: cluster.revision, handoff: 0 });
  t.is(cluster.get(claimed!.key)?.createRevision, cluster.revision);
  t.deepEqual(state().settled, settled);
  t.like(records()[0], {
    state: 'missed',
    count: 2,
    scheduledFor: new Date(missed.fromMs),
    until: new Date(missed.toMs),
  });
  t.like(records()[1], { state: 'started', attempt: 1, token: claimed!.token, scheduledFor: new Date(TICK) });
});

const refusals: readonly [why: string, change: (cluster: MemoryCluster) => void][] = [
  ['the leader’s key is gone', (cluster) => cluster.delete(LEADER)],
  [
    'the leader’s key is another one of the same name',
    (cluster) => {
      cluster.delete(LEADER);
      cluster.put(LEADER, '');
    },
  ],
  ['the job is paused', (cluster) => cluster.put(keys.paused, '{}')],
  ['somebody has claimed a tick since', (cluster) => cluster.put(keys.last, JSON.stringify(settled))],
  ['the operator has raised the epoch', (cluster) => cluster.put(keyspace.epoch, '1')],
  [
    'there is a record of this very attempt',
    (cluster) => cluster.put(runKey(keys.history, { scheduledForMs: TICK, attempt: 1 }), '{}'),
  ],
];
for (const [why, change] of refusals) {
  test(`a claim is refused, and writes nothing, when ${why}`, async (t) => {
    const { cluster, ledger, signal, settle, standing, state } = await open();
    const before = state();
    const stands = await standing();
    change(cluster);
    const entries = cluster.entries(keys.prefix);
    const written = await settle(ledger.claim(before, stands, plan, settled, TICK, signal));
    t.false(written.succeeded);
    t.is(written.claimed, undefined);
    t.deepEqual(cluster.entries(keys.prefix), entries);
  });
}

test('of two claims of one tick one is accepted', async (t) => {
  const { ledger, signal, settle, standing, state, starts } = await open();
  const before = state();
  const stands = await standing();
  const both = await settle(Promise.all([1, 2].map(() => ledger.claim(before, stands, plan, settled, TICK, signal))));
  t.is(both.filter(({ succeeded }) => succeeded).length, 1);
  t.deepEqual(Object.values(starts()), [1]);
});

test('a claim whose answer was lost recognises its own success, token and all', async (t) => {
  const { cluster, store, ledger, signal, settle, standing, state, starts } = await open();
  const stands = await standing();
  store.faults.nextResponse('transact', 'drop');
  const { succeeded, claimed } = await settle(ledger.claim(state(), stands, plan, settled, TICK, signal));
  t.true(succeeded);
  t.is(unpackToken(claimed!.token).revision, cluster.get(claimed!.key)!.createRevision);
  t.deepEqual(Object.values(starts()), [1]);
});

test('a claim that was parked and arrives late starts nothing', async (t) => {
  const { store, ledger, signal, settle, standing, state, starts } = await open();
  const stands = await standing();
  store.faults.nextRequest('transact', 'park');
  const { succeeded } = await settle(ledger.claim(state(), stands, plan, settled, TICK, signal));
  t.true(succeeded);
  const entries = starts();
  t.is(store.faults.releaseParked(), 1);
  t.deepEqual(starts(), entries);
  t.deepEqual(Object.values(entries), [1]);
});

test('a claim that was parked under a leader who is gone starts nothing', async (t) => {
  const { cluster, store, ledger, signal, standing, state, starts, runtime } = await open();
  const stands = await standing();
  store.faults.nextRequest('transact', 'park');
  const ended = new AbortController();
  const claim = ledger.claim(state(), stands, plan, settled, TICK, AbortSignal.any([signal, ended.signal]));
  await runtime.clock.advance(500);
  ended.abort(new Error('the leadership is lost'));
  await t.throwsAsync(claim, { message: /may still be applied/ });
  cluster.delete(LEADER);
  t.is(store.faults.releaseParked(), 1);
  await runtime.clock.advance(5_000);
  t.deepEqual(starts(), {});
});

test('the next attempt marks the one before as abandoned, and is another start', async (t) => {
  const { ledger, signal, settle, standing, state, records } = await open();
  const stands = await standing();
  const { claimed } = await settle(ledger.claim(state(), stands, plan, settled, TICK, signal));
  const [lost] = state().open;
  const retried = await settle(ledger.claimRetry(state(), stands, lost!, TICK + 60_000, signal));
  t.true(retried.claimed!.token > claimed!.token);
  t.deepEqual(
    records().map((record) => [record?.state, record?.state === 'missed' ? 0 : record?.attempt]),
    [
      ['abandoned', 1],
      ['started', 2],
    ],
  );
  t.false(
    (await settle(ledger.claimRetry(state(), stands, lost!, TICK, signal))).succeeded,
    'it was abandoned already',
  );
  t.false((await settle(ledger.close(claimed!, { state: 'finished', durationMs: 1 }, signal))).succeeded);
  t.is(state().open.length, 1);
});

test('a run is recorded as it ended, also when its leader is not the leader any more', async (t) => {
  const { cluster, ledger, signal, settle, standing, state, records } = await open();
  const { claimed } = await settle(ledger.claim(state(), await standing(), plan, settled, TICK, signal));
  cluster.delete(LEADER);
  const ending = { state: 'failed', durationMs: 77, error: 'Error: no paper' } as const;
  t.true((await settle(ledger.close(claimed!, ending, signal))).succeeded);
  t.like(records()[0], { ...ending, token: claimed!.token });
});

test('a request is claimed once, deletes itself, and moves the schedule not at all', async (t) => {
  const { cluster, ledger, signal, settle, standing, state } = await open();
  cluster.put(keys.trigger, JSON.stringify({ atMs: TICK + 1, by: 'two' }));
  const before = state();
  const stands = await standing();
  const { claimed } = await settle(ledger.claimRequest(before, stands, before.request!, TICK, signal));
  t.like(claimed!.run, { trigger: 'manual', scheduledForMs: TICK + 1 });
  t.is(cluster.get(keys.trigger), undefined);
  t.is(cluster.get(keys.last), undefined);
  t.false((await settle(ledger.claimRequest(before, stands, before.request!, TICK, signal))).succeeded);
});

test('history is bounded; what still runs is kept', async (t) => {
  const { ledger, signal, settle, standing, state } = await open(10);
  const stands = await standing();
  let first: string | undefined;
  for (let day = 0; day < 30; day += 1) {
    const start = TICK + day * 86_400_000;
    const { claimed } = await settle(
      ledger.claim(state(), stands, { start, missed: undefined, upToMs: start }, settled, start, signal),
    );
    first ??= claimed!.key;
    if (day > 0) await settle(ledger.close(claimed!, { state: 'finished', durationMs: 1 }, signal));
    t.true(state().history.size <= 10, `${state().history.size} records`);
  }
  t.is(state().history.size, 10);
  t.true(state().history.has(first!));
});
