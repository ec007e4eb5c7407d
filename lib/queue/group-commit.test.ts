import test from 'ava';
import { AccessDeniedError, CoordinationUnavailableError } from '../errors.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { StoreError } from '../store/store-error.ts';
import type { Operation } from '../store/store.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import { unpackToken } from './token.ts';

const LOCKS = 'test/lock/';

/** How many operations, or nested transactions, each transaction has from now on. */
function transactions(store: MemoryStore): number[] {
  const sizes: number[] = [];
  store.faults.onRequest((call) => {
    if (call.method === 'transact')
      sizes.push(call.transaction.compare.length === 0 ? call.transaction.then.length : 1);
    return undefined;
  });
  return sizes;
}

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `n${index}`);

test('locks that are taken in one turn are taken in one transaction, and released in one', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const sizes = transactions(store);
  const held = await world.settle(Promise.all(names(64).map((name) => coordinator.lock(name).acquire())));
  t.deepEqual(sizes, [64]);
  t.is(new Set(held.map(({ token }) => unpackToken(token).revision)).size, 1);
  t.is(world.cluster.entries(LOCKS).length, 64);
  await world.settle(Promise.all(held.map((lock) => lock.release())));
  t.deepEqual(sizes, [64, 64]);
  t.deepEqual(world.cluster.entries(LOCKS), []);
});

test('a group stays below what etcd allows in a transaction', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const sizes = transactions(store);
  const held = await world.settle(Promise.all(names(250).map((name) => coordinator.lock(name).acquire())));
  t.deepEqual(sizes, [100, 100, 50]);
  t.true(held.every((lock) => lock.isHeld()));
});

test('large proclaimed values do not add up to a request that is too large', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const sizes = transactions(store);
  const value = 'v'.repeat(60_000);
  await world.settle(Promise.all(names(3).map((name) => coordinator.election(name).campaign({ value }))));
  t.deepEqual(sizes, [1, 1, 1]);
});

test('a release and the next enqueue of the same lock are one transaction, and the one does not wait for the other', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const lock = coordinator.lock('a', { handoff: false });
  const first = await world.settle(lock.acquire());
  const second = lock.acquire();
  await world.advance(100);
  const sizes = transactions(store);
  await world.settle(first.release());
  t.true((await world.settle(second)).isHeld());
  t.deepEqual(sizes, [2]);
});

test('no two that enter the same queue share a group: their order would be unknown', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const sizes = transactions(store);
  const first = coordinator.election('e').campaign({ value: 'x' });
  const second = coordinator.election('e').campaign({ value: 'y' });
  await world.settle(first);
  t.deepEqual(sizes, [1, 1]);
  const [one, two] = world.cluster.entries('test/election/e/');
  t.not(one!.createRevision, two!.createRevision);
  await world.settle((await first).resign());
  t.true((await world.settle(second)).isHeld());
});

test('a try is not refused by a key that goes in the same turn', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  const others = names(3).map((name) => coordinator.lock(name).acquire());
  const released = held.release();
  await world.settle(Promise.all([released, ...others]));
  t.true((await world.settle(coordinator.lock('a').tryAcquire()))?.isHeld());
});

test('an answer that was lost is unknown to each part, and each finds its own key', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', 'drop');
  const held = await world.settle(Promise.all(names(5).map((name) => coordinator.lock(name).acquire())));
  t.true(held.every((lock) => lock.isHeld()));
  t.is(world.cluster.entries(LOCKS).length, 5);
  await world.settle(Promise.all(held.map((lock) => lock.release())));
  t.deepEqual(world.cluster.entries(LOCKS), []);
});

test('a group that is applied after everybody gave up leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextRequest('transact', 'park');
  const gaveUp = names(5).map((name) =>
    t.throwsAsync(coordinator.lock(name).acquire({ timeoutMs: 300 }), { instanceOf: CoordinationUnavailableError }),
  );
  await world.settle(Promise.all(gaveUp));
  await world.advance(3_000);
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries(LOCKS), []);
});

test('a group that is applied after its locks were acquired again and released leaves no zombie', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextRequest('transact', 'park');
  const held = await world.settle(Promise.all(names(5).map((name) => coordinator.lock(name).acquire())));
  await world.settle(Promise.all(held.map((lock) => lock.release())));
  t.is(store.faults.releaseParked(), 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries(LOCKS), []);
});

test('locks are released while etcd has no space for those that are taken in the same turn', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const held = await world.settle(coordinator.lock('a').acquire());
  world.cluster.exceedQuota();
  const refused = t.throwsAsync(coordinator.lock('b').acquire({ timeoutMs: 1_000 }), {
    instanceOf: CoordinationUnavailableError,
  });
  await world.settle(held.release());
  t.deepEqual(world.cluster.entries(LOCKS), []);
  await world.settle(refused);
});

test('one part that etcd refuses for good refuses no other', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const isMeant = (operations: readonly Operation[]): boolean =>
    operations.some((each) =>
      each.type === 'txn' ? isMeant(each.then) : each.type === 'put' && each.key.startsWith(`${LOCKS}n1/`),
    );
  store.faults.onRequest((call) =>
    call.method === 'transact' && isMeant(call.transaction.then)
      ? { refuseWith: new StoreError('denied', 'permanent', 'permission denied') }
      : undefined,
  );
  const [first, second, third] = names(3).map((name) => coordinator.lock(name).acquire());
  await t.throwsAsync(world.settle(second!), { instanceOf: AccessDeniedError });
  t.true((await world.settle(first!)).isHeld());
  t.true((await world.settle(third!)).isHeld());
});
