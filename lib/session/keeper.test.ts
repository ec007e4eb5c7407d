import test from 'ava';
import { ClosedError } from '../errors.ts';
import { Health } from '../health/health.ts';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { StoreError } from '../store/store-error.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { SessionKeeper } from './keeper.ts';
import { Keyspace } from './keyspace.ts';
import { marginMs, roundTtlMs } from './ttl.ts';

const TTL_MS = 5_000;

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly health: Health;
  readonly keeper: SessionKeeper;
}

function begin({ minTtlMs = 2_000, isStarted = true }: { minTtlMs?: number; isStarted?: boolean } = {}): Scene {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime, { minTtlMs });
  const store = cluster.connect();
  const health = new Health(runtime, { ttlMs: TTL_MS, marginMs });
  const budget = new RetryBudget(runtime.clock);
  const repetition = { attemptTimeoutMs: 1_000, baseMs: 50, capMs: 2_000, budget };
  const options = { ttlMs: TTL_MS, marginMs, instanceId: 'worker-7' };
  const keeper = new SessionKeeper(runtime, store, health, new Keyspace('test'), repetition, options);
  if (isStarted) keeper.start();
  return { runtime, cluster, store, health, keeper };
}

test('a session is a lease and a key on it that says who we are', async (t) => {
  const { runtime, cluster, keeper, health } = begin();
  const session = await runtime.clock.settle(keeper.session());
  t.deepEqual(cluster.leases, [session.lease]);
  const [key, ...more] = cluster.entries('test/');
  t.deepEqual(more, []);
  t.is(key?.key, session.identity.key);
  t.is(key?.lease, session.lease);
  t.deepEqual(JSON.parse(key?.value ?? ''), { instanceId: 'worker-7' });
  t.is(key?.modRevision, session.generation);
  t.is(keeper.current, session);
  t.is(health.state, 'connected');
});

test('validity rests on the TTL that was granted, not on the one that was asked for', async (t) => {
  const { runtime, keeper } = begin({ minTtlMs: 20_000 });
  const session = await runtime.clock.settle(keeper.session());
  t.is(session.ttlMs, 20_000);
  t.is(session.remainingMs(), 18_000);
});

test('a grant whose answer was lost is found again, and orphans no lease', async (t) => {
  const { runtime, cluster, store, keeper } = begin();
  store.faults.nextResponse('grant', 'drop');
  const session = await runtime.clock.settle(keeper.session());
  t.deepEqual(cluster.leases, [session.lease]);
});

test('"already exists" proves a lease and not its age: validity begins with an answered renewal', async (t) => {
  const { runtime, store, keeper } = begin();
  store.faults.nextResponse('grant', 'drop');
  let renewedAtMs = 0;
  store.faults.onRequest(({ method }) => {
    if (method === 'renew' && renewedAtMs === 0) renewedAtMs = runtime.clock.elapsedMs;
    return undefined;
  });
  const session = await runtime.clock.settle(keeper.session());
  t.true(renewedAtMs >= 1_000);
  t.true(session.remainingMs() <= 4_500 - (runtime.clock.elapsedMs - renewedAtMs));
});

test('a naming whose answer was lost recognises its own key', async (t) => {
  const { runtime, cluster, store, keeper } = begin();
  store.faults.nextResponse('transact', 'drop');
  const session = await runtime.clock.settle(keeper.session());
  t.is(cluster.get(session.identity.key)?.modRevision, session.generation);
});

test('a lost session is followed by another, and its lease is revoked, but not while its work may count on it', async (t) => {
  const { runtime, cluster, store, keeper } = begin();
  const lost = await runtime.clock.settle(keeper.session());
  await runtime.clock.advance(1_000);
  const expiresInMs = lost.expiresInMs();
  t.true(expiresInMs > 3_000);
  keeper.giveUp(lost, new Error('not to be trusted'));
  const next = await runtime.clock.settle(keeper.session());
  t.not(next.lease, lost.lease);
  const revokedAtMs: number[] = [];
  store.faults.onRequest(({ method }) => {
    if (method === 'revoke') revokedAtMs.push(runtime.clock.elapsedMs);
    return undefined;
  });
  await runtime.clock.advance(expiresInMs - 1);
  t.deepEqual(revokedAtMs, []);
  await runtime.clock.advance(1);
  t.is(revokedAtMs.length, 1);
  t.deepEqual(cluster.leases, [next.lease]);
});

test('a refusal for good is told to everybody who asks, and tried again', async (t) => {
  const { runtime, store, keeper } = begin({ isStarted: false });
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  const undo = store.faults.onRequest(({ method }) => (method === 'grant' ? { refuseWith: denied } : undefined));
  keeper.start();
  t.is(await t.throwsAsync(runtime.clock.settle(keeper.session())), denied);
  t.is(await t.throwsAsync(keeper.session()), denied);
  undo();
  await runtime.clock.advance(5_000);
  t.true((await keeper.session()).isValid());
});

test('who waits for a session leaves by its own signal', async (t) => {
  const { runtime, store, keeper } = begin();
  store.faults.cutOff();
  const abort = new AbortController();
  const waiting = t.throwsAsync(keeper.session(abort.signal), { message: 'why' });
  await runtime.clock.advance(100);
  abort.abort(new Error('why'));
  await waiting;
});

test('closing revokes the lease, refuses who waits and who comes later, and leaves no timer', async (t) => {
  const { runtime, cluster, health, keeper } = begin();
  const session = await runtime.clock.settle(keeper.session());
  await runtime.clock.settle(keeper.close({ revoke: true }));
  health.close();
  t.true(session.signal.reason instanceof ClosedError);
  t.deepEqual(cluster.leases, []);
  t.deepEqual(cluster.entries('test/'), []);
  await t.throwsAsync(keeper.session(), { instanceOf: ClosedError });
  t.is(keeper.current, undefined);
  t.is(runtime.clock.pendingTimers, 0);
  t.is(cluster.openWatches, 0);
});

test('closing without revoking leaves the keys to the lease’s own end', async (t) => {
  const { runtime, cluster, keeper } = begin();
  await runtime.clock.settle(keeper.session());
  await runtime.clock.settle(keeper.close({ revoke: false }));
  t.is(cluster.leases.length, 1);
  await runtime.clock.advance(TTL_MS);
  t.deepEqual(cluster.entries('test/'), []);
});

test('closing while a session is being opened leaves neither it nor its lease', async (t) => {
  for (const method of ['grant', 'transact'] as const) {
    const { runtime, cluster, store, health, keeper } = begin();
    store.faults.nextResponse(method, { delayMs: 300 });
    const refused = t.throwsAsync(keeper.session(), { instanceOf: ClosedError });
    await runtime.clock.advance(100);
    await runtime.clock.settle(keeper.close({ revoke: true }));
    health.close();
    await refused;
    await runtime.clock.advance(TTL_MS);
    t.deepEqual(cluster.leases, []);
    t.is(runtime.clock.pendingTimers, 0);
  }
});

test('closing while etcd is away takes two attempts at most, and the lease ends by itself', async (t) => {
  const { runtime, store, keeper } = begin();
  await runtime.clock.settle(keeper.session());
  store.faults.cutOff();
  const startedAtMs = runtime.clock.elapsedMs;
  await runtime.clock.settle(keeper.close({ revoke: true }));
  t.true(runtime.clock.elapsedMs - startedAtMs <= 2_000);
  t.is(runtime.logger.of('session.unrevoked').length, 1);
});

for (const held of [true, false]) {
  test(`closing right after a loss ${held ? 'leaves the lease of what was held to its own end' : 'revokes a lease that held nothing'}`, async (t) => {
    const { runtime, cluster, keeper } = begin();
    const session = await runtime.clock.settle(keeper.session());
    if (held) session.own({ key: 'test/lock/a/1', createRevision: undefined, lost: () => {} });
    session.lose(new Error('lost by its own clock'));
    await runtime.clock.advance(100);
    await runtime.clock.settle(keeper.close({ revoke: true }));
    t.is(cluster.leases.includes(session.lease), held);
    await runtime.clock.advance(TTL_MS);
    t.deepEqual(cluster.leases, []);
  });
}

test('the margin is a tenth of the TTL, and 200 ms at least', (t) => {
  t.deepEqual([1_000, 2_000, 5_000, 15_000].map(marginMs), [200, 200, 500, 1_500]);
});

test('a TTL is rounded up to whole seconds, and refused where it cannot be one', (t) => {
  t.deepEqual(
    [1_000, 1_001, 15_000].map((ttlMs) => roundTtlMs('ttlMs', ttlMs)),
    [1_000, 2_000, 15_000],
  );
  for (const ttlMs of [0, -1, 999, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001, '5' as never]) {
    t.throws(() => roundTtlMs('session.ttlMs', ttlMs), { instanceOf: RangeError, message: /session\.ttlMs/ });
  }
});
