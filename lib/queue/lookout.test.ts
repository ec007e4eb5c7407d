import test from 'ava';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { StoreError } from '../store/store-error.ts';
import type { KeyLife } from '../store/until-deleted.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import { Lookout } from './lookout.ts';

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly lookout: Lookout;
  readonly put: (key: string) => KeyLife;
  readonly signal: AbortSignal;
}

function scene(): Scene {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const store = cluster.connect();
  const put = (key: string): KeyLife => {
    cluster.put(`q/${key}`, '');
    return { key: `q/${key}`, createRevision: cluster.revision };
  };
  const lookout = new Lookout(runtime, store, 'q/', () => {});
  return { runtime, cluster, store, lookout, put, signal: new AbortController().signal };
}

test('it tells when all that were before are gone, whatever comes behind', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, b, own] = [put('a'), put('b'), put('own')];
  let sighting: string | undefined;
  void lookout
    .untilFirst(own, { before: [b, a], beside: 0, revision: cluster.revision, epoch: 0 }, signal)
    .then((value) => (sighting = value));
  put('behind');
  cluster.delete(b.key);
  await runtime.clock.advance(10);
  t.is(sighting, undefined);
  cluster.delete(a.key);
  await runtime.clock.advance(10);
  t.is(sighting, 'first');
});

test('a departure that was delivered before the answer that names the one who left is remembered', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, first] = [put('a'), put('first')];
  void lookout.untilFirst(first, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal);
  await runtime.clock.advance(10);
  const [b, own] = [put('b'), put('own')];
  const answeredAt = cluster.revision;
  cluster.delete(b.key);
  await runtime.clock.advance(10);
  t.is(await lookout.untilFirst(own, { before: [b], beside: 0, revision: answeredAt, epoch: 0 }, signal), 'first');
});

test('a departure that is too long ago to be remembered is looked for from where the answer was', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, first] = [put('a'), put('first')];
  const before = lookout.untilFirst(first, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal);
  await runtime.clock.advance(10);
  const [b, own] = [put('b'), put('own')];
  const answeredAt = cluster.revision;
  cluster.delete(b.key);
  for (let index = 0; index < 300; index += 1) cluster.delete(put(`other${index}`).key);
  await runtime.clock.advance(10);
  const sighting = lookout.untilFirst(own, { before: [b], beside: 0, revision: answeredAt, epoch: 0 }, signal);
  t.is(await before, 'unknown');
  await runtime.clock.advance(200);
  t.is(await sighting, 'first');
});

test('a key that was put again under its old name is not the one that was waited for', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const old = put('a');
  cluster.delete(old.key);
  const [again, own] = [put('a'), put('own')];
  let sighting: string | undefined;
  void lookout
    .untilFirst(own, { before: [again], beside: 0, revision: cluster.revision, epoch: 0 }, signal)
    .then((value) => (sighting = value));
  await runtime.clock.advance(200);
  t.is(sighting, undefined);
  cluster.delete(again.key);
  await runtime.clock.advance(10);
  t.is(sighting, 'first');
});

test('who comes with an answer of another epoch is told nothing of the history before it', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, first] = [put('a'), put('first')];
  const backup = cluster.snapshot();
  const before = lookout.untilFirst(first, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal);
  for (let index = 0; index < 5; index += 1) put('elsewhere');
  cluster.delete(a.key);
  await runtime.clock.advance(10);
  t.is(await before, 'first');
  /* The stream is broken, and nobody has noticed yet. */
  cluster.restore(backup);
  const own = put('own');
  let sighting: string | undefined;
  void lookout
    .untilFirst(own, { before: [first, a], beside: 0, revision: cluster.revision, epoch: 1 }, signal)
    .then((value) => (sighting = value));
  cluster.delete(first.key);
  await runtime.clock.advance(10);
  t.is(sighting, undefined, 'a stands again');
  cluster.delete(a.key);
  await runtime.clock.advance(10);
  t.is(sighting, 'first');
});

test('when the own key is removed, being first is nothing any more', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, own] = [put('a'), put('own')];
  const sighting = lookout.untilFirst(own, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal);
  cluster.delete({ prefix: 'q/' });
  await runtime.clock.advance(10);
  t.is(await sighting, 'removed');
});

test('a stream that breaks, and history that is gone, leave nothing known', async (t) => {
  for (const isCompacted of [false, true]) {
    const { runtime, cluster, store, lookout, put, signal } = scene();
    const [a, own] = [put('a'), put('own')];
    const seenAt = cluster.revision;
    if (isCompacted) {
      put('behind');
      cluster.delete('q/behind');
      cluster.compact();
    }
    const sighting = lookout.untilFirst(own, { before: [a], beside: 0, revision: seenAt, epoch: 0 }, signal);
    await runtime.clock.advance(1);
    if (!isCompacted) store.faults.disconnectWatches();
    await runtime.clock.advance(100);
    t.is(await sighting, 'unknown', `compacted: ${isCompacted}`);
  }
});

test('what etcd refuses is told as it is', async (t) => {
  const { runtime, cluster, store, lookout, put, signal } = scene();
  const [a, own] = [put('a'), put('own')];
  const refusal = new StoreError('denied', 'permanent', 'permission denied');
  store.faults.onRequest(() => ({ refuseWith: refusal }));
  const sighting = t.throwsAsync(
    lookout.untilFirst(own, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal),
    { is: refusal },
  );
  await runtime.clock.advance(100);
  await sighting;
});

test('one watch serves all waits and is kept for a second after the last; its end leaves neither timer nor watch', async (t) => {
  const { runtime, cluster, store, lookout, put } = scene();
  let opened = 0;
  store.faults.onRequest(({ method }) => {
    if (method === 'watch') opened += 1;
    return undefined;
  });
  for (let count = 0; count < 5; count += 1) {
    const [a, own] = [put('a'), put('own')];
    const abort = new AbortController();
    const sighting = lookout.untilFirst(
      own,
      { before: [a], beside: 0, revision: cluster.revision, epoch: 0 },
      abort.signal,
    );
    await runtime.clock.advance(500);
    if (count % 2 === 0) abort.abort(new Error('no longer'));
    cluster.delete({ prefix: 'q/' });
    await sighting.catch((error: Error) => t.is(error.message, 'no longer'));
  }
  t.is(opened, 1);
  t.is(cluster.openWatches, 1);
  await runtime.clock.advance(1_000);
  t.is(cluster.openWatches, 0);
  t.is(runtime.clock.pendingTimers, 0);
});

test('closing under somebody who waits tells them that nothing is known, and leaves neither timer nor watch', async (t) => {
  const { runtime, cluster, lookout, put, signal } = scene();
  const [a, own] = [put('a'), put('own')];
  const sighting = lookout.untilFirst(own, { before: [a], beside: 0, revision: cluster.revision, epoch: 0 }, signal);
  await runtime.clock.advance(10);
  lookout.close();
  t.is(await sighting, 'unknown');
  await runtime.clock.advance(0);
  t.is(runtime.clock.pendingTimers, 0);
  t.is(cluster.openWatches, 0);
});

test('in a long queue a waiter wakes only for the one right before it', async (t) => {
  const world = new VirtualWorld();
  const processes = Array.from({ length: 20 }, () => world.start());
  await world.settle(Promise.all(processes.map(({ coordinator }) => coordinator.ready())));
  const held = [];
  const waiting = [];
  for (const [index, { coordinator }] of processes.entries()) {
    const acquiring = coordinator.lock('a').acquire();
    if (index === 0) held.push(await world.settle(acquiring));
    else waiting.push(acquiring);
    await world.advance(50);
  }
  let woken = 0;
  processes.at(-1)!.store.faults.onWatch((_, { events }) => {
    if (events.length > 0) woken += 1;
    return undefined;
  });
  await world.settle(held[0]!.release());
  for (const next of waiting.slice(0, 10)) await world.settle((await world.settle(next)).release());
  await world.advance(100);
  t.is(woken, 0);
  for (const next of waiting.slice(10)) await world.settle((await world.settle(next)).release());
  t.deepEqual(world.cluster.entries('test/lock/a/'), []);
});
