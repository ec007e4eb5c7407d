import test from 'ava';
import { sleep } from '../runtime/clock.ts';
import { testRuntime } from '../testing/test-runtime.ts';
import { follow, revisionOf, type FollowOptions } from './follow.ts';
import { MemoryCluster } from './memory/memory-cluster.ts';
import { StoreError } from './store-error.ts';
import type { WatchEvent } from './store.ts';

function world(options: { losesDeletesAtCompaction?: boolean } = {}) {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime, options);
  const store = cluster.connect();
  const end = new AbortController();
  const seen: WatchEvent[] = [];
  let failure: unknown;
  const begin = (fromRevision: bigint, options?: FollowOptions): Promise<void> =>
    (async () => {
      try {
        const request = { span: { prefix: 'p/' }, fromRevision };
        for await (const { events } of follow(runtime, store, request, end.signal, options)) seen.push(...events);
      } catch (error) {
        failure = error;
      }
    })();
  return { runtime, cluster, store, end, seen, begin, failure: () => failure };
}

const revisions = (events: readonly WatchEvent[]): number[] => events.map((event) => Number(revisionOf(event)));

test('every event once and in order over any number of broken streams', async (t) => {
  const { runtime, cluster, store, seen, begin } = world();
  void begin(1n);
  for (let index = 0; index < 30; index += 1) {
    cluster.put('p/a', String(index));
    cluster.put('elsewhere', String(index));
    if (index % 3 === 0) store.faults.disconnectWatches();
    await runtime.clock.advance(index % 2 === 0 ? 0 : 150);
  }
  await runtime.clock.advance(5_000);
  t.deepEqual(
    revisions(seen),
    Array.from({ length: 30 }, (_, index) => 2 + 2 * index),
  );
});

test('a watch that begins in the past delivers what has happened since, and nothing before', async (t) => {
  const { runtime, cluster, seen, begin } = world();
  for (let index = 0; index < 10; index += 1) cluster.put('p/a', String(index));
  void begin(6n);
  await runtime.clock.advance(10);
  cluster.put('p/a', 'later');
  await runtime.clock.advance(10);
  t.deepEqual(revisions(seen), [6, 7, 8, 9, 10, 11, 12]);
});

for (const resumed of [false, true]) {
  test(`a delete that etcd 3.4 forgets at the compacted revision shows as compacted, ${resumed ? 'after a cut' : 'at the beginning'}`, async (t) => {
    const { runtime, cluster, store, seen, begin, failure } = world({ losesDeletesAtCompaction: true });
    cluster.put('p/a', '1');
    if (resumed) {
      void begin(2n);
      await runtime.clock.advance(10);
      store.faults.disconnectWatches();
    }
    cluster.delete('p/a');
    cluster.compact();
    if (!resumed) void begin(3n);
    await runtime.clock.advance(5_000);
    t.is((failure() as { reason?: string } | undefined)?.reason, 'compacted');
    t.deepEqual(revisions(seen), resumed ? [2] : []);
  });
}

test('progress on a quiet span does not begin the watch again', async (t) => {
  const { runtime, cluster, store, begin } = world();
  void begin(1n);
  let opened = 0;
  store.faults.onRequest((call) => {
    if (call.method === 'watch') opened += 1;
    return undefined;
  });
  await runtime.clock.advance(10);
  cluster.put('elsewhere', 'x');
  cluster.reportProgress();
  cluster.reportProgress();
  await runtime.clock.advance(1_000);
  t.true(opened <= 1);
});

test('where it does not resume, it ends with what broke it, at once', async (t) => {
  const { runtime, store, begin, failure } = world();
  void begin(1n, { resumes: false });
  await runtime.clock.advance(10);
  store.faults.disconnectWatches();
  await runtime.clock.advance(1);
  t.is((failure() as { reason?: string }).reason, 'unreachable');
});

test('what is asked before a resumption can end the following', async (t) => {
  const { runtime, store, begin, failure } = world();
  void begin(1n, { beforeResume: () => Promise.reject(new Error('another history')) });
  await runtime.clock.advance(10);
  store.faults.disconnectWatches();
  await runtime.clock.advance(1_000);
  t.is((failure() as Error).message, 'another history');
});

test('what is asked once it is open goes before whatever it delivers, in each of its lives', async (t) => {
  const { runtime, cluster, store, seen, begin } = world();
  const asked: number[] = [];
  const onceOpen = async (): Promise<void> => {
    asked.push(seen.length);
    cluster.put('p/a', String(asked.length));
    await sleep(runtime.clock, 10);
  };
  cluster.put('p/a', '0');
  void begin(2n, { onceOpen });
  await runtime.clock.advance(1_000);
  t.deepEqual(revisions(seen), [2, 3]);
  store.faults.disconnectWatches();
  await runtime.clock.advance(1_000);
  t.deepEqual(asked, [0, 2]);
  t.deepEqual(revisions(seen), [2, 3, 4]);
});

test('a check that fails when it is open is tried again ever less often', async (t) => {
  const { runtime, end, begin } = world();
  let asked = 0;
  const onceOpen = async (): Promise<void> => {
    asked += 1;
    throw new StoreError('timeout', 'transient', 'no answer');
  };
  void begin(1n, { onceOpen });
  await runtime.clock.advance(60_000);
  t.true(asked > 20 && asked < 200, `${asked} times in a minute`);
  end.abort();
  await runtime.clock.advance(10);
});

test('a refusal ends it, and an abort ends it with its reason', async (t) => {
  const { runtime, cluster, end, begin, failure } = world();
  void begin(1n);
  await runtime.clock.advance(10);
  end.abort(new Error('enough'));
  await runtime.clock.advance(10);
  t.is((failure() as Error).message, 'enough');
  t.is(cluster.openWatches, 0);
});
