import test, { type ExecutionContext } from 'ava';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { MemoryCluster } from './memory/memory-cluster.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import { untilDeleted } from './until-deleted.ts';

const KEY = 'k';

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly abort: AbortController;
  /** Whether the waiting has come to an end by now. */
  readonly isOver: () => Promise<boolean>;
}

/** A key that was put and seen alive, and somebody who waits for its end. */
async function wait(t: ExecutionContext, writesBefore = 0): Promise<Scene> {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  cluster.put(KEY, 'alive');
  const createRevision = cluster.revision;
  for (let index = 0; index < writesBefore; index += 1) cluster.put('other', String(index));
  const store = cluster.connect();
  const abort = new AbortController();
  let over = false;
  const options = { timeoutMs: 1_000, signal: abort.signal };
  untilDeleted(runtime, store, { key: KEY, createRevision }, cluster.revision, options)
    .then(() => {
      over = true;
    })
    .catch((error: unknown) => t.is(error, abort.signal.reason));
  await runtime.clock.advance(0);
  const isOver = async (): Promise<boolean> => {
    await runtime.clock.advance(0);
    return over;
  };
  t.false(await isOver());
  return { runtime, cluster, store, abort, isOver };
}

test('it waits for the deletion, and is told within one delivery', async (t) => {
  const { runtime, cluster, isOver } = await wait(t);
  cluster.put(KEY, 'still alive');
  await runtime.clock.advance(60_000);
  t.false(await isOver());
  cluster.delete(KEY);
  t.true(await isOver());
});

test('a key that was put again is another one', async (t) => {
  const { cluster, isOver } = await wait(t);
  cluster.transact({ compare: [], then: [{ type: 'delete', key: KEY }] });
  cluster.put(KEY, 'another life');
  t.true(await isOver());
});

test('a deletion while the watch was broken is found, also where its history is compacted', async (t) => {
  for (const isCompacted of [false, true]) {
    const { runtime, cluster, store, isOver } = await wait(t);
    store.faults.disconnectWatches();
    cluster.delete(KEY);
    cluster.put('other', '');
    if (isCompacted) cluster.compact();
    await runtime.clock.advance(5_000);
    t.true(await isOver(), `compacted: ${isCompacted}`);
  }
});

test('after a compaction of what it has not seen it goes on waiting for a key that stands', async (t) => {
  const { runtime, cluster, store, isOver } = await wait(t);
  store.faults.disconnectWatches();
  for (let index = 0; index < 5; index += 1) cluster.put('other', String(index));
  cluster.compact();
  await runtime.clock.advance(5_000);
  t.false(await isOver());
  cluster.delete(KEY);
  t.true(await isOver());
});

test('a deletion below the point of resuming, in a store that was restored, is found', async (t) => {
  const { runtime, cluster, store, isOver } = await wait(t, 10);
  const restore = store.faults.cutOff();
  const snapshot = new MemoryCluster(runtime);
  snapshot.put(KEY, 'alive');
  cluster.restore(snapshot.snapshot());
  cluster.delete(KEY);
  for (let index = 0; index < 20; index += 1) cluster.put('other', String(index));
  restore();
  await runtime.clock.advance(10_000);
  t.true(await isOver());
});

test('in a restored store that counts below it, it waits until an answer can be trusted, and finds a later deletion', async (t) => {
  const { runtime, cluster, isOver } = await wait(t, 10);
  const snapshot = new MemoryCluster(runtime);
  snapshot.put(KEY, 'alive');
  cluster.restore(snapshot.snapshot());
  await runtime.clock.advance(10_000);
  t.false(await isOver());
  cluster.delete(KEY);
  for (let index = 0; index < 20; index += 1) cluster.put('other', String(index));
  await runtime.clock.advance(10_000);
  t.true(await isOver());
});

test('it ends with the reason of its signal, and leaves neither timer nor watch', async (t) => {
  const { runtime, cluster, abort, isOver } = await wait(t);
  abort.abort(new Error('no longer'));
  t.false(await isOver());
  t.is(runtime.clock.pendingTimers, 0);
  t.is(cluster.openWatches, 0);
});
