import test from 'ava';
import { testRuntime, type TestRuntime } from '../../testing/test-runtime.ts';
import { apply, brief, call, failure, put, WatchReader } from '../contract/contract.ts';
import type { Transaction } from '../store.ts';
import { MemoryCluster, type MemoryClusterOptions } from './memory-cluster.ts';
import type { MemoryStore } from './memory-store.ts';

interface World {
  readonly runtime: TestRuntime;
  readonly clock: TestRuntime['clock'];
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
}

function world(options: MemoryClusterOptions = {}): World {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime, options);
  return { runtime, clock: runtime.clock, cluster, store: cluster.connect() };
}

test('the log tells every revision: what happened, when, and who did it', async (t) => {
  const { clock, cluster, store } = world();
  await store.grant(7n, 2_000, call);
  await clock.advance(100);
  await apply(store, put('a', '1', 7n));
  cluster.put('b', '2');
  await clock.advance(2_000);

  t.deepEqual(
    cluster.log.map(({ revision, era, events }) => [revision, era, events.map(brief)]),
    [
      [2n, 0, ['put a=1']],
      [3n, 0, ['put b=2']],
      [4n, 0, ['delete a']],
    ],
  );
  const [first, second, third] = cluster.log;
  t.like(first, { by: { call: { method: 'transact', client: 'client 1' } } });
  t.is(second?.by, 'operator');
  t.deepEqual(third?.by, { expiredLease: 7n });
  t.is((third?.atMs ?? 0) - (first?.atMs ?? 0), 1_900);
});

test('a lease ends at its TTL, or later by the lag of the server, never sooner', async (t) => {
  for (const expiryLagMs of [0, 500]) {
    const { clock, cluster, store } = world({ expiryLagMs });
    await store.grant(7n, 3_000, call);
    await clock.advance(2_999 + expiryLagMs);
    t.deepEqual(cluster.leases, [7n]);
    await clock.advance(1);
    t.deepEqual(cluster.leases, []);
    t.is(clock.pendingTimers, 0);
  }
});

test('a renewal after the end of a lease does not revive it, however late the server takes it away', async (t) => {
  const { clock, cluster, store } = world({ expiryLagMs: 500 });
  await store.grant(7n, 3_000, call);
  await apply(store, put('a', '1', 7n));
  await clock.advance(3_200);
  t.true(cluster.get('a') !== undefined);
  t.is((await store.renew(7n, call)).ttlMs, 0);
  t.is(cluster.get('a'), undefined);
});

test('the grant of a lease is not stretched by the clock of a client that was suspended', async (t) => {
  const { runtime, clock, cluster } = world();
  const host = clock.host();
  const store = cluster.connect({ runtime: { ...runtime, clock: host }, latencyMs: 10 });
  await clock.settle(store.grant(7n, 5_000, call));
  host.suspend();
  await clock.advance(6_000);
  host.resume();
  t.deepEqual(cluster.leases, []);
});

test('a crashed cluster refuses connections, breaks watches, and gives leases their full TTL again', async (t) => {
  const { clock, cluster, store } = world();
  await store.grant(7n, 5_000, call);
  await using watch = new WatchReader(store, { prefix: '' }, 1n);
  await watch.batch();
  await clock.advance(4_000);
  cluster.stop();
  const broken = await failure(watch.batch());
  t.deepEqual([broken.reason, broken.outcome], ['unreachable', 'transient']);
  const refused = await failure(apply(store, put('a')));
  t.deepEqual([refused.reason, refused.outcome], ['unreachable', 'transient']);
  await clock.advance(60_000);

  cluster.start();
  await clock.advance(4_999);
  t.deepEqual(cluster.leases, [7n]);
  await clock.advance(1);
  t.deepEqual(cluster.leases, []);
});

test('a frozen cluster applies what was sent to it when it goes on, though the caller has given up', async (t) => {
  const { clock, cluster, store } = world();
  cluster.stop('freeze');
  const sent = failure(apply(store, put('a')));
  const error = await clock.settle(sent);
  t.deepEqual([error.reason, error.outcome], ['timeout', 'unknown']);
  t.is(cluster.get('a'), undefined);
  cluster.start();
  t.true(cluster.get('a') !== undefined);
  t.is(clock.pendingTimers, 0);
});

test('a lease that would have ended while the cluster was frozen ends when it goes on, unless another leader counts anew', async (t) => {
  for (const newLeader of [false, true]) {
    const { clock, cluster, store } = world();
    await store.grant(7n, 5_000, call);
    cluster.stop('freeze');
    await clock.advance(6_000);
    t.deepEqual(cluster.leases, [7n]);
    cluster.start({ newLeader });
    await clock.advance(0);
    t.deepEqual(cluster.leases, newLeader ? [7n] : []);
  }
});

test('a watch of a frozen cluster is silent, then breaks', async (t) => {
  const { clock, cluster, store } = world();
  await using watch = new WatchReader(store, { prefix: '' }, 1n);
  await watch.batch();
  cluster.stop('freeze');
  const broken = failure(watch.batch());
  await clock.advance(6_999);
  t.is(cluster.openWatches, 1);
  t.is((await clock.settle(broken)).reason, 'unreachable');
  t.is(cluster.openWatches, 0);
});

test('a new leader gives every lease its full TTL again', async (t) => {
  const { clock, cluster, store } = world();
  await store.grant(7n, 5_000, call);
  await clock.advance(4_000);
  cluster.elect();
  await clock.advance(4_999);
  t.deepEqual(cluster.leases, [7n]);
  await clock.advance(1);
  t.deepEqual(cluster.leases, []);
});

test('a restore takes the revision back, brings leases and keys back, and tells nobody', async (t) => {
  const { clock, cluster, store } = world();
  await store.grant(7n, 5_000, call);
  await apply(store, put('a', '1', 7n));
  const backup = cluster.snapshot();
  for (let count = 0; count < 5; count += 1) await apply(store, put('a', '2'));
  await store.revoke(7n, call);
  t.is(cluster.revision, 7n);

  cluster.restore(backup);
  t.is(cluster.revision, 2n);
  t.is(cluster.get('a')?.lease, 7n);
  t.is((await apply(store, put('b'))).revision, 3n);
  t.deepEqual(
    cluster.log.map(({ era, revision }) => [era, revision]),
    [...[2n, 3n, 4n, 5n, 6n, 7n].map((revision) => [0, revision]), [1, 3n]],
  );
  await using stale = new WatchReader(store, { prefix: '' }, 7n);
  await stale.batch();
  t.true(await stale.isSilent(clock.advance(1_000)));
  await clock.advance(5_000);
  t.is(cluster.get('a'), undefined);

  cluster.restore(backup);
  t.is(cluster.revision, 2n);
  t.true(cluster.get('a') !== undefined, 'a backup can be restored again');
});

test('a restore that bumps the revision compacts all history', async (t) => {
  const { cluster, store } = world();
  await apply(store, put('a', '1'));
  const backup = cluster.snapshot();
  await apply(store, put('a', '2'));
  cluster.restore(backup, { bumpRevision: 1_000n });
  t.is(cluster.revision, 1_002n);
  t.is(cluster.get('a')?.value, '1');
  t.is((await failure(store.range({ key: 'a', revision: 3n }, call))).reason, 'compacted');
  await using watch = new WatchReader(store, { prefix: '' }, 4n);
  t.is((await failure(watch.events())).compactRevision, 1_002n);
  t.is((await apply(store, put('a', '3'))).revision, 1_003n);
});

test('the write by which the space quota is exceeded is applied, and refused', async (t) => {
  const { cluster, store } = world();
  cluster.exceedQuota({ takesOneMore: true });
  for (const value of ['1', '2']) {
    t.is((await failure(apply(store, put('a', value)))).reason, 'quota');
    t.is(cluster.get('a')?.value, '1');
  }
});

test('with the space quota exceeded, what needs space is refused, and what is held can be renewed and given back', async (t) => {
  const { cluster, store } = world();
  await store.grant(7n, 5_000, call);
  await apply(store, put('a', '1', 7n), put('b', '1'));
  cluster.exceedQuota();
  const nested: Transaction = { compare: [], then: [put('c')] };
  // Measured on etcd 3.4.23, 3.5.16 and 3.5.30.
  const table: readonly (readonly [string, () => Promise<unknown>, isRefused: boolean])[] = [
    ['put', () => apply(store, put('x')), true],
    ['put that is never taken', () => store.transact({ compare: [], then: [], otherwise: [put('x')] }, call), true],
    ['grant', () => store.grant(8n, 5_000, call), true],
    ['nested put', () => apply(store, { type: 'txn', ...nested }), false],
    ['delete', () => apply(store, { type: 'delete', key: 'b' }), false],
    ['range', () => store.range({ prefix: '' }, call), false],
    ['renew', () => store.renew(7n, call), false],
    ['revoke', () => store.revoke(7n, call), false],
  ];
  for (const [title, run, isRefused] of table) {
    if (!isRefused) {
      await t.notThrowsAsync(run(), title);
      continue;
    }
    const { reason, outcome } = await failure(run());
    t.deepEqual([reason, outcome], ['quota', 'permanent'], title);
  }
  t.is(cluster.get('a'), undefined);
  cluster.disarmQuota();
  await t.notThrowsAsync(apply(store, put('x')));
});

test('deletes of the very revision of a compaction cannot be watched any more on old servers', async (t) => {
  for (const losesDeletesAtCompaction of [false, true]) {
    const { clock, cluster, store } = world({ losesDeletesAtCompaction });
    await apply(store, put('a'));
    const { revision } = await apply(store, put('b'), { type: 'delete', key: 'a' });
    cluster.compact();
    await using watch = new WatchReader(store, { prefix: '' }, revision);
    const events = (await clock.settle(watch.events())).events.map(brief);
    t.deepEqual(events, losesDeletesAtCompaction ? ['put b=value'] : ['put b=value', 'delete a']);
  }
});
