import test from 'ava';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import type { Change } from './contents.ts';
import { Replica, type ReplicaOptions } from './replica.ts';

interface World {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly replica: Replica;
  readonly changes: Change[];
}

interface WorldOptions extends Partial<ReplicaOptions> {
  readonly latencyMs?: number;
}

function world({ latencyMs = 0, ...options }: WorldOptions = {}): World {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect({ latencyMs });
  const repetition = { attemptTimeoutMs: 1_000, baseMs: 50, capMs: 1_000, budget: new RetryBudget(runtime.clock) };
  const replica = new Replica(runtime, store, repetition, {
    span: { prefix: 'p/' },
    freshnessMs: 5_000,
    maxEntries: 10_000,
    maxBytes: 64 * 1024 * 1024,
    ...options,
  });
  const changes: Change[] = [];
  replica.follow({ changed: (some) => changes.push(...some) });
  return { runtime, cluster, store, replica, changes };
}

async function started(options: WorldOptions = {}, before?: (cluster: MemoryCluster) => void): Promise<World> {
  const all = world(options);
  before?.(all.cluster);
  all.replica.start();
  await all.runtime.clock.settle(all.replica.reached(0n, new AbortController().signal));
  return all;
}

const contents = (replica: Replica): Record<string, string> =>
  Object.fromEntries([...replica.entries.values()].map(({ key, value }) => [key, value]));

const told = (changes: readonly Change[]): string[] =>
  changes.map((change) =>
    change.type === 'put' ? `${change.entry.key}=${change.entry.value}` : `-${change.key}${change.resynced ? '!' : ''}`,
  );

test('it lists what is there and then tells every change once, in order', async (t) => {
  const { runtime, cluster, replica, changes } = await started({}, (etcd) => etcd.put('p/a', '1'));
  cluster.put('p/b', '2');
  cluster.put('other', 'x');
  cluster.delete('p/a');
  await runtime.clock.advance(10);
  t.deepEqual(contents(replica), { 'p/b': '2' });
  t.deepEqual(told(changes), ['p/a=1', 'p/b=2', '-p/a']);
});

test('a large span is listed in pages, all of one revision', async (t) => {
  const { replica } = await started({}, (etcd) => {
    for (let index = 0; index < 1_234; index += 1) etcd.put(`p/${index}`, String(index));
  });
  t.is(replica.entries.size, 1_234);
});

test('what happens over a cut is delivered once after it', async (t) => {
  const { runtime, cluster, store, changes } = await started();
  for (let index = 0; index < 20; index += 1) {
    cluster.put('p/a', String(index));
    if (index % 4 === 0) store.faults.disconnectWatches();
    await runtime.clock.advance(index % 3 === 0 ? 0 : 200);
  }
  await runtime.clock.advance(5_000);
  t.deepEqual(
    told(changes),
    Array.from({ length: 20 }, (_, index) => `p/a=${index}`),
  );
});

test('a compaction during a cut leads to an announced resync that tells the difference', async (t) => {
  const { runtime, cluster, store, replica, changes } = await started({}, (etcd) => {
    etcd.put('p/a', '1');
    etcd.put('p/b', '1');
  });
  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  cluster.delete('p/a');
  cluster.put('p/b', '2');
  cluster.put('p/b', '3');
  cluster.compact();
  changes.length = 0;
  await runtime.clock.advance(3_000);
  heal();
  await runtime.clock.advance(10_000);
  t.deepEqual(contents(replica), { 'p/b': '3' });
  t.deepEqual(told(changes), ['-p/a!', 'p/b=3']);
  t.true(changes.every((change) => change.resynced));
  t.is(replica.resyncs, 1);
});

test('a gap in which something came and went is told with the next change', async (t) => {
  const { runtime, cluster, store, replica, changes } = await started({}, (etcd) => etcd.put('p/a', '1'));
  const heal = store.faults.cutOff();
  store.faults.disconnectWatches();
  cluster.put('p/b', 'brief');
  cluster.delete('p/b');
  cluster.compact();
  changes.length = 0;
  heal();
  await runtime.clock.advance(10_000);
  t.is(replica.resyncs, 1);
  t.deepEqual(changes, []);
  cluster.put('p/a', '2');
  cluster.put('p/a', '3');
  await runtime.clock.advance(10);
  t.deepEqual(
    changes.map(({ resynced }) => resynced),
    [true, undefined],
  );
});

for (const overtaken of [false, true]) {
  test(`a restore ${overtaken ? 'that new writes have overtaken' : 'to a lower revision'} leads to a resync`, async (t) => {
    const { runtime, cluster, replica } = await started({}, (etcd) => etcd.put('p/a', '1'));
    const snapshot = cluster.snapshot();
    for (let index = 0; index < 5; index += 1) cluster.put('p/lost', String(index));
    await runtime.clock.advance(10);
    t.is(replica.entries.size, 2);
    cluster.restore(snapshot);
    for (let index = 0; index < (overtaken ? 20 : 0); index += 1) cluster.put('p/new', String(index));
    await runtime.clock.advance(20_000);
    t.deepEqual(contents(replica), overtaken ? { 'p/a': '1', 'p/new': '19' } : { 'p/a': '1' });
    t.is(replica.resyncs, 1);
  });
}

test('a restore that new writes have overtaken shows too where they fell before what was listed', async (t) => {
  let snapshot: ReturnType<MemoryCluster['snapshot']> | undefined;
  const { runtime, cluster, replica } = await started({}, (etcd) => {
    etcd.put('p/a', '1');
    snapshot = etcd.snapshot();
    for (let index = 0; index < 50; index += 1) etcd.put('elsewhere', String(index));
  });
  cluster.restore(snapshot!);
  cluster.put('p/a', '2');
  for (let index = 0; index < 100; index += 1) cluster.put('elsewhere', String(index));
  await runtime.clock.advance(60_000);
  t.deepEqual(contents(replica), { 'p/a': '2' });
  t.is(replica.resyncs, 1);
});

test('a delete that a restore has undone is found out at the next reconnection', async (t) => {
  const { runtime, cluster, replica } = await started({}, (etcd) => {
    etcd.put('p/a', '1');
    etcd.put('p/b', '1');
  });
  const snapshot = cluster.snapshot();
  cluster.delete('p/b');
  await runtime.clock.advance(10);
  t.deepEqual(contents(replica), { 'p/a': '1' });
  cluster.restore(snapshot);
  for (let index = 0; index < 5; index += 1) cluster.put('elsewhere', String(index));
  await runtime.clock.advance(1_000);
  t.deepEqual(contents(replica), { 'p/a': '1', 'p/b': '1' });
});

for (const begins of ['first', 'again'] as const) {
  test(`a restore between the last answer and the opening of the watch shows: the watch opens ${begins}`, async (t) => {
    const { runtime, cluster, store, replica } = world({ latencyMs: 20 });
    cluster.put('p/a', '1');
    const backup = cluster.snapshot();
    cluster.put('p/b', 'of the history before');
    replica.start();
    if (begins === 'again') {
      await runtime.clock.advance(1_000);
      store.faults.disconnectWatches();
    }
    /* What was asked is answered, and on its way. */
    const answered = new Promise<void>((resolve) => {
      store.faults.onResponse(({ method }) => {
        if (method === 'range') resolve();
        return undefined;
      });
    });
    await runtime.clock.settle(answered);
    cluster.restore(backup);
    cluster.put('p/c', 'of the history after');
    cluster.put('elsewhere', 'x');
    await runtime.clock.advance(1_000);
    t.deepEqual(contents(replica), { 'p/a': '1', 'p/c': 'of the history after' });
    await replica.close();
  });
}

test('its age is proved, and grows when nothing proves it', async (t) => {
  const { runtime, store, replica } = await started();
  await runtime.clock.advance(30_000);
  t.true(replica.isFresh());
  t.true(replica.ageMs() <= 5_500);
  store.faults.cutOff();
  await runtime.clock.advance(20_000);
  t.false(replica.isFresh());
  t.true(replica.ageMs() >= 20_000);
});

test('a span that is written to all the time is proved fresh all the same', async (t) => {
  const { runtime, cluster, replica } = await started({ latencyMs: 10, freshnessMs: 500 });
  for (let index = 0; index < 2_000; index += 1) {
    cluster.put(`p/${index % 7}`, String(index));
    if (index % 5 === 0) cluster.delete(`p/${index % 3}`);
    await runtime.clock.advance(3);
    t.true(replica.isFresh(), `${replica.ageMs()} ms after ${index} writes`);
  }
  t.is(replica.resyncs, 0);
  const confirmed = replica.confirm(AbortSignal.timeout(5_000));
  for (let index = 0; index < 20; index += 1) {
    cluster.put('p/a', String(index));
    await runtime.clock.advance(3);
  }
  await runtime.clock.settle(confirmed, { withinMs: 0 });
});

test('a stream that loses an event is found out by a proof, and made good by a resync', async (t) => {
  const { runtime, cluster, store, replica } = await started({}, (etcd) => etcd.put('p/a', '1'));
  const undo = store.faults.onWatch((_, batch) => (batch.events.length > 0 ? 'drop' : undefined));
  cluster.put('p/a', '2');
  await runtime.clock.advance(10);
  undo();
  t.deepEqual(contents(replica), { 'p/a': '1' });
  const staleAt = replica.ageMs();
  await runtime.clock.advance(6_000);
  t.true(replica.ageMs() > staleAt);
  await runtime.clock.advance(20_000);
  t.deepEqual(contents(replica), { 'p/a': '2' });
});

test('progress notifications prove nothing', async (t) => {
  const { runtime, cluster, store, replica } = await started();
  store.faults.onRequest((call) => (call.method === 'range' ? 'drop' : undefined));
  for (let index = 0; index < 20; index += 1) {
    cluster.reportProgress();
    await runtime.clock.advance(1_000);
  }
  t.false(replica.isFresh());
});

test('events that an old server repeats are told once', async (t) => {
  const { runtime, cluster, store, changes } = await started();
  store.faults.onWatch((_, batch) => (batch.events.length > 0 ? 'duplicate' : undefined));
  cluster.put('p/a', '1');
  cluster.put('p/a', '2');
  await runtime.clock.advance(100);
  t.deepEqual(told(changes), ['p/a=1', 'p/a=2']);
});

test('a follower that throws starves nobody', async (t) => {
  const { runtime, cluster, replica, changes } = await started();
  replica.follow({
    changed: () => {
      throw new Error('no good');
    },
  });
  const after: Change[] = [];
  replica.follow({ changed: (some) => after.push(...some) });
  cluster.put('p/a', '1');
  await runtime.clock.advance(10);
  t.is(changes.length, 1);
  t.is(after.length, 1);
});

test('more than the limit fails it, and says so to those who wait', async (t) => {
  const { runtime, replica } = await started({ maxEntries: 3 }, (etcd) => etcd.put('p/a', '1')).then((all) => {
    for (const key of ['b', 'c', 'd']) all.cluster.put(`p/${key}`, '1');
    return all;
  });
  await runtime.clock.advance(100);
  t.is(replica.failure?.reason, 'too-large');
  await t.throwsAsync(replica.reached(1_000n, new AbortController().signal), { message: /limits are 3/ });
});

test('closing leaves neither watch nor timer', async (t) => {
  const { runtime, cluster, replica } = await started();
  await runtime.clock.settle(replica.close());
  t.is(cluster.openWatches, 0);
  t.is(runtime.clock.pendingTimers, 0);
});
