import test from 'ava';
import { testRuntime, type TestRuntime } from '../../testing/test-runtime.ts';
import { apply, brief, call, failure, put, WatchReader } from '../contract/contract.ts';
import { StoreError } from '../store-error.ts';
import { MemoryCluster } from './memory-cluster.ts';
import type { MemoryStore } from './memory-store.ts';

interface World {
  readonly clock: TestRuntime['clock'];
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
}

function world(latencyMs = 0): World {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  return { clock: runtime.clock, cluster, store: cluster.connect({ latencyMs }) };
}

test('an answer that is lost and a request that is lost look alike, and only one of them was applied', async (t) => {
  for (const lost of ['request', 'response'] as const) {
    const { clock, cluster, store } = world();
    if (lost === 'request') store.faults.nextRequest('transact', 'drop');
    else store.faults.nextResponse('transact', 'drop');
    const error = await clock.settle(failure(apply(store, put('a'))));
    t.deepEqual([error.reason, error.outcome], ['timeout', 'unknown']);
    t.is(cluster.get('a') !== undefined, lost === 'response');
    t.is(clock.pendingTimers, 0);
  }
});

test('an unanswered read is no more than a failed read', async (t) => {
  const { clock, store } = world();
  store.faults.onRequest(() => 'drop');
  const reads = [store.range({ key: 'a' }, call), store.status(call), store.leaseKeys(7n, call)];
  for (const read of reads.map(failure)) t.is((await clock.settle(read)).outcome, 'transient');
  const writes = [store.grant(7n, 5_000, call), store.renew(7n, call), store.revoke(7n, call)];
  for (const write of writes.map(failure)) t.is((await clock.settle(write)).outcome, 'unknown');
});

test('a parked request is applied when it is released, though its caller gave up long ago', async (t) => {
  const { clock, cluster, store } = world();
  store.faults.nextRequest('transact', 'park');
  await clock.settle(failure(apply(store, put('a'))));
  t.is(cluster.get('a'), undefined);
  t.deepEqual(
    store.faults.parked.map(({ method, client }) => [method, client]),
    [['transact', 'client 1']],
  );
  await clock.advance(3_600_000);
  t.is(store.faults.releaseParked(), 1);
  t.true(cluster.get('a') !== undefined);
  t.is(store.faults.releaseParked(), 0);
});

test('parked requests are released in any order, or lost', async (t) => {
  const { clock, cluster, store } = world();
  store.faults.onRequest(() => 'park');
  const calls = ['1', '2', '3'].map((value) => failure(apply(store, put('a', value))));
  await clock.settle(Promise.all(calls));
  const first = store.faults.parked[0]?.id;
  store.faults.releaseParked(({ id }) => id !== first);
  t.is(cluster.get('a')?.value, '3');
  store.faults.releaseParked();
  t.is(cluster.get('a')?.value, '1');

  await clock.settle(failure(apply(store, put('a', '4'))));
  store.faults.discardParked();
  t.is(store.faults.releaseParked(), 0);
});

test('a parked request that is released in time is answered', async (t) => {
  const { clock, store } = world();
  store.faults.nextRequest('transact', 'park');
  const answer = apply(store, put('a'));
  await clock.advance(1_000);
  store.faults.releaseParked();
  t.true((await answer).succeeded);
  t.is(clock.pendingTimers, 0);
});

test('a request that arrives twice is applied twice and answered once', async (t) => {
  const { clock, cluster, store } = world();
  store.faults.nextRequest('transact', { duplicateAfterMs: 500 });
  t.is((await apply(store, put('a'))).revision, 2n);
  await clock.advance(500);
  t.is(cluster.get('a')?.version, 2n);
});

test('a refused connection applied nothing; one that broke may have', async (t) => {
  const { cluster, store } = world();
  store.faults.nextRequest('transact', 'refuse');
  const refused = await failure(apply(store, put('a')));
  t.deepEqual([refused.reason, refused.outcome, cluster.get('a')], ['unreachable', 'transient', undefined]);
  store.faults.nextResponse('transact', 'break');
  const broken = await failure(apply(store, put('a')));
  t.deepEqual([broken.reason, broken.outcome, cluster.get('a')?.version], ['unreachable', 'unknown', 1n]);
  store.faults.nextRequest('transact', { refuseWith: new StoreError('denied', 'permanent', 'permission denied') });
  t.is((await failure(apply(store, put('a')))).reason, 'denied');
});

test('a signal that aborts after the request was sent leaves a write unknown', async (t) => {
  const { clock, cluster, store } = world(10);
  const stop = new AbortController();
  const write = failure(store.transact({ compare: [], then: [put('a')] }, { ...call, signal: stop.signal }));
  const read = failure(store.range({ key: 'a' }, { ...call, signal: stop.signal }));
  const reason = new Error('enough');
  stop.abort(reason);
  const [written, readError] = [await write, await read];
  t.deepEqual([written.reason, written.outcome, written.cause], ['cancelled', 'unknown', reason]);
  t.deepEqual([readError.reason, readError.outcome], ['cancelled', 'transient']);
  t.is(cluster.get('a'), undefined);
  await clock.advance(10);
  t.true(cluster.get('a') !== undefined);
});

test('requests with different delays overtake each other', async (t) => {
  const { clock, cluster, store } = world(10);
  store.faults.nextRequest('transact', { delayMs: 100 });
  const slow = apply(store, put('a', 'slow'));
  const fast = apply(store, put('a', 'fast'));
  t.is((await clock.settle(fast)).revision, 2n);
  t.is((await clock.settle(slow)).revision, 3n);
  t.is(clock.elapsedMs, 120);
  t.is(cluster.get('a')?.value, 'slow');
});

test('a read can be stale, a transaction that may write cannot', async (t) => {
  const { cluster, store } = world();
  await apply(store, put('a', '1'));
  await apply(store, put('a', '2'));
  store.faults.onRequest(() => ({ staleBy: 1 }));
  const range = await store.range({ key: 'a' }, call);
  t.deepEqual([range.entries[0]?.value, range.revision], ['1', 2n]);
  const reading = await store.transact(
    { compare: [{ key: 'a', target: 'version', is: '=', than: 1n }], then: [{ type: 'range', key: 'a' }] },
    call,
  );
  t.deepEqual([reading.succeeded, reading.revision], [true, 2n]);
  const throughRaft = await store.transact(
    {
      compare: [{ key: 'a', target: 'version', is: '=', than: 1n }],
      then: [{ type: 'delete', key: 'a' }],
      otherwise: [{ type: 'range', key: 'a' }],
    },
    call,
  );
  t.deepEqual([throughRaft.succeeded, throughRaft.revision], [false, 3n]);
  cluster.compact();
  t.is((await store.range({ key: 'a' }, call)).revision, 3n);
});

test('a server with a bug can give another answer than the true one', async (t) => {
  const { store } = world();
  store.faults.nextResponse('renew', { answer: { revision: 1n, ttlMs: 15_000 } });
  t.is((await store.renew(7n, call)).ttlMs, 15_000);
  t.is((await store.renew(7n, call)).ttlMs, 0);
});

test('the newest rule that has an opinion decides, and can be taken back', async (t) => {
  const { store } = world();
  store.faults.onRequest(() => 'refuse');
  const undo = store.faults.onRequest(({ method }) => (method === 'status' ? 'deliver' : undefined));
  await t.notThrowsAsync(store.status(call));
  await failure(store.range({ key: 'a' }, call));
  undo();
  await failure(store.status(call));
  store.faults.heal();
  await t.notThrowsAsync(store.status(call));
});

test('a watch delivers what was held back, in order, once it is let go', async (t) => {
  const { store, clock } = world();
  await using watch = new WatchReader(store, { prefix: '' }, 2n);
  await watch.batch();
  store.faults.onWatch((_, { events }) => (events.length > 0 ? 'hold' : undefined));
  await apply(store, put('a', '1'));
  await apply(store, put('a', '2'));
  t.true(await watch.isSilent(clock.advance(60_000)));
  store.faults.heal();
  await apply(store, put('a', '3'));
  t.deepEqual(await watch.take(3), ['put a=1', 'put a=2', 'put a=3']);
});

test('a watch can lose a batch, get it twice, get it late, or break instead', async (t) => {
  const { store, clock } = world(5);
  await using watch = new WatchReader(store, { prefix: '' }, 2n);
  await clock.settle(watch.batch());
  const faults = ['drop', 'duplicate', { delayMs: 1_000 }, 'deliver', 'break'] as const;
  let next = 0;
  store.faults.onWatch(() => faults[next++]);
  for (const value of ['1', '2', '3', '4']) await clock.settle(apply(store, put('a', value)));
  const start = clock.elapsedMs;
  t.deepEqual(await clock.settle(watch.take(4)), ['put a=2', 'put a=2', 'put a=3', 'put a=4']);
  t.true(clock.elapsedMs - start > 900);
  const broken = failure(watch.batch());
  await clock.settle(apply(store, put('a', '5')));
  t.is((await broken).reason, 'unreachable');
});

test('a watch that is not accepted ends by itself', async (t) => {
  const { store, clock } = world();
  store.faults.nextRequest('watch', 'park');
  await using watch = new WatchReader(store, { prefix: '' }, 1n);
  const error = await clock.settle(failure(watch.batch()));
  t.deepEqual([error.reason, error.outcome, clock.elapsedMs], ['timeout', 'transient', 5_000]);
  store.faults.releaseParked();
  await clock.flush();
  t.is(clock.pendingTimers, 0);
});

test('a client that is cut off hears nothing, and its watches break after a while', async (t) => {
  const { cluster, clock, store } = world();
  const other = cluster.connect();
  await using watch = new WatchReader(store, { prefix: '' }, 2n);
  await watch.batch();
  store.faults.cutOff();
  cluster.put('a', '1');
  t.is((await clock.settle(failure(store.status(call)))).reason, 'timeout');
  await t.notThrowsAsync(other.status(call));
  t.is((await clock.settle(failure(watch.batch()))).reason, 'unreachable');
  t.is(clock.elapsedMs, 7_000);
});

test('a short cut delays a watch, and loses nothing of it', async (t) => {
  const { cluster, clock, store } = world();
  await using watch = new WatchReader(store, { prefix: '' }, 2n);
  await watch.batch();
  const mend = store.faults.cutOff();
  cluster.put('a', '1');
  t.true(await watch.isSilent(clock.advance(6_000)));
  mend();
  mend();
  cluster.put('a', '2');
  t.deepEqual(await watch.take(2), ['put a=1', 'put a=2']);
  await t.notThrowsAsync(store.status(call));
  t.is(clock.pendingTimers, 0);
});

test('a sign of life comes on a watch without events, at the revision of the store', async (t) => {
  const { cluster, store } = world();
  await using watch = new WatchReader(store, { prefix: 'b' }, 2n);
  await watch.batch();
  cluster.put('a', '1');
  cluster.reportProgress();
  t.deepEqual(await watch.batch(), { revision: 2n, events: [] });
});

test('a process that stands still gets its answers when it goes on', async (t) => {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const host = runtime.clock.host();
  const store = cluster.connect({ runtime: { ...runtime, clock: host }, latencyMs: 10 });
  await using watch = new WatchReader(store, { prefix: '' }, 2n);
  await runtime.clock.settle(watch.batch());
  const seen: string[] = [];
  const answer = apply(store, put('a', '1')).then(() => seen.push('answer'));
  const event = watch.events().then(({ events }) => seen.push(...events.map(brief)));
  host.pause();
  await runtime.clock.advance(60_000);
  t.true(cluster.get('a') !== undefined);
  t.deepEqual(seen, []);
  host.resume();
  await runtime.clock.settle(Promise.allSettled([answer, event]));
  t.true(seen.includes('put a=1'));
});
