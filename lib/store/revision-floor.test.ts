import test from 'ava';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { MemoryCluster } from './memory/memory-cluster.ts';
import type { MemoryStore } from './memory/memory-store.ts';
import { RevisionFloor } from './revision-floor.ts';
import { StoreError } from './store-error.ts';
import type { Transaction, TransactionResponse } from './store.ts';

interface Scene {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;
  readonly store: MemoryStore;
  readonly floor: RevisionFloor;
  readonly alarms: StoreError[];
  readonly read: () => Promise<bigint>;
  readonly write: () => Promise<TransactionResponse>;
  /** Back to an empty store, and so to a low revision. */
  readonly restore: () => void;
}

const CALL = { timeoutMs: 1_000 };
const PUT: Transaction = { compare: [], then: [{ type: 'put', key: 'k', value: 'v' }] };

function begin(): Scene {
  const runtime = testRuntime();
  const cluster = new MemoryCluster(runtime);
  const empty = cluster.snapshot();
  for (let index = 0; index < 20; index += 1) cluster.put('k', String(index));
  const store = cluster.connect();
  const alarms: StoreError[] = [];
  const floor = new RevisionFloor(runtime, store, (error) => alarms.push(error));
  return {
    runtime,
    cluster,
    store,
    floor,
    alarms,
    read: async () => (await floor.range({ key: 'k' }, CALL)).revision,
    write: () => floor.transact(PUT, CALL),
    restore: () => cluster.restore(empty),
  };
}

test('revisions that rise raise the floor, and no alarm', async (t) => {
  const { cluster, floor, alarms, read, write } = begin();
  t.is(await read(), 21n);
  await write();
  await floor.grant(7n, 5_000, CALL);
  t.is(floor.highest, cluster.revision);
  t.deepEqual(alarms, []);
});

test('an answer through raft below what had been seen before it was sent is proof, and is not given out', async (t) => {
  const { floor, alarms, read, write, restore } = begin();
  await read();
  restore();
  const error = await t.throwsAsync(write(), { instanceOf: StoreError });
  t.is(error?.reason, 'regressed');
  t.is(error?.outcome, 'unknown');
  t.deepEqual(alarms, [error]);
  t.is(floor.highest, 2n);
  await t.notThrowsAsync(write());
  t.is(alarms.length, 1);
});

test('a grant is such an answer, too', async (t) => {
  const { floor, alarms, read, restore } = begin();
  await read();
  restore();
  await t.throwsAsync(floor.grant(7n, 5_000, CALL), { instanceOf: StoreError });
  t.is(alarms.length, 1);
});

test('a read below the floor proves nothing: a member may lag behind', async (t) => {
  const { floor, alarms, read, restore } = begin();
  await read();
  restore();
  t.is(await read(), 1n);
  const onlyReads: Transaction = { compare: [], then: [{ type: 'range', key: 'k' }] };
  t.is((await floor.transact(onlyReads, CALL)).revision, 1n);
  t.is(floor.highest, 21n);
  t.deepEqual(alarms, []);
});

test('a transaction that could have written is proof whichever branch was taken, nested ones included', async (t) => {
  const never = [{ key: 'k', target: 'create', is: '<', than: 0n }] as const;
  for (const then of [PUT.then, [{ type: 'txn', ...PUT } as const]]) {
    const { floor, alarms, read, restore } = begin();
    await read();
    restore();
    await t.throwsAsync(floor.transact({ compare: never, then }, CALL), { instanceOf: StoreError });
    t.is(alarms.length, 1);
  }
});

test('an answer that was long under way raises no alarm: it is compared with what was seen before it was sent', async (t) => {
  const { runtime, cluster, store, alarms, read, write } = begin();
  store.faults.nextResponse('transact', { delayMs: 500 });
  const slow = write();
  await runtime.clock.advance(100);
  cluster.put('k', 'newer');
  await read();
  await t.notThrowsAsync(runtime.clock.settle(slow));
  t.deepEqual(alarms, []);
});

test('many that meet the same restore raise one alarm', async (t) => {
  const { alarms, read, write, restore } = begin();
  await read();
  restore();
  const all = await Promise.allSettled(Array.from({ length: 10 }, () => write()));
  t.is(all.filter(({ status }) => status === 'rejected').length, 1);
  t.is(alarms.length, 1);
});

test('what was sent before an alarm does not raise the floor after it', async (t) => {
  const { runtime, store, floor, read, write, restore } = begin();
  store.faults.nextResponse('range', { delayMs: 500 });
  const old = read();
  await runtime.clock.advance(100);
  store.faults.nextResponse('range', 'deliver');
  await read();
  restore();
  await t.throwsAsync(write(), { instanceOf: StoreError });
  t.is(await runtime.clock.settle(old), 21n);
  t.is(floor.highest, 2n);
});

test('a watch raises the floor', async (t) => {
  const { runtime, cluster, floor } = begin();
  const abort = new AbortController();
  const watching = (async () => {
    for await (const { events } of floor.watch({ span: { key: 'k' }, fromRevision: 22n }, abort.signal)) {
      if (events.length > 0) break;
    }
  })();
  await runtime.clock.flush();
  cluster.put('k', 'newer');
  await watching;
  t.is(floor.highest, 22n);
});
