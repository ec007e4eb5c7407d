/**
 * Cases that an earlier design got wrong on paper, by the names that they were given there: each a script in a few lines, on the real
 * coordinator and the model of etcd. A seed comes upon them now and then; these come upon them always. For each there is a mistake
 * in scripts/mutant-list.ts that takes its protection away.
 */
import test from 'ava';
import { CoordinationUnavailableError, StaleTokenError, VersionConflictError } from '../errors.ts';
import { memoryGuard } from '../guards/memory.ts';
import type { HeldLock } from '../lock/held-lock.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';

const HOUR = 3_600_000;

async function two(world: VirtualWorld): Promise<readonly [Process, Process]> {
  return [await world.connect(), await world.connect()];
}

/** The transaction of a user's own that `ifHeld()` is for. */
function writeIf(world: VirtualWorld, compares: ReturnType<HeldLock['ifHeld']>): boolean {
  const compare = compares.map(
    ({ key, createRevision }) => ({ key, target: 'create', is: '=', than: createRevision }) as const,
  );
  return world.cluster.transact({ compare, then: [{ type: 'put', key: 'resource', value: 'written' }] }).succeeded;
}

/** On paper the waiter that gave up looked for its key, found none, and was done; the key came afterwards, and nobody wanted it. */
test('parked request applied late', async (t) => {
  const world = new VirtualWorld();
  const [one, other] = await two(world);
  one.store.faults.nextRequest('transact', 'park');
  await t.throwsAsync(world.settle(one.coordinator.lock('a').acquire({ timeoutMs: 300 })), {
    instanceOf: CoordinationUnavailableError,
  });
  await world.settle(other.coordinator.lock('a').with(() => {}));
  await world.advance(3_000);
  t.is(one.store.faults.releaseParked(), 1);
  await world.advance(100);
  t.deepEqual(world.cluster.entries('test/lock/'), []);
  t.true((await world.settle(other.coordinator.lock('a').tryAcquire()))?.isHeld());
});

/** On paper a try queued, looked whether it was the first, and left again: meanwhile the next try stood behind it, and failed, too. */
test('two failing tryAcquires', async (t) => {
  const world = new VirtualWorld();
  const [holder, first] = await two(world);
  const second = await world.connect();
  const held = await world.settle(holder.coordinator.lock('a').acquire());
  first.store.faults.nextResponse('transact', { delayMs: 500 });
  const refused = first.coordinator.lock('a').tryAcquire();
  await world.advance(100);
  await world.settle(held.release());
  t.true((await world.settle(second.coordinator.lock('a').tryAcquire()))?.isHeld());
  t.is(await world.settle(refused), undefined);
});

/** On paper the guard was asked at writes alone: between the read and the write of the new holder the old one's update got through. */
test('guard that had not seen the newer token', async (t) => {
  const world = new VirtualWorld();
  const host = world.runtime.clock.host();
  const old = world.start({}, undefined, host);
  const next = await world.connect();
  const guard = memoryGuard();
  let counter = 10;
  const read = ({ token }: HeldLock): number => {
    guard.check('counter', token);
    return counter;
  };
  const write = ({ token }: HeldLock, value: number): void => {
    guard.check('counter', token);
    counter = value;
  };
  const paused = await world.settle(old.coordinator.lock('a').acquire());
  const readByPaused = read(paused);
  host.pause();
  const successor = await world.settle(next.coordinator.lock('a').acquire());
  const readBySuccessor = read(successor);
  t.throws(() => write(paused, readByPaused + 1), { instanceOf: StaleTokenError });
  write(successor, readBySuccessor + 1);
  t.is(counter, 11);
});

/** On paper the next holder in the process had the same key, so that a transaction that the one before had sent still passed. */
test('`ifHeld` across a handoff', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a');
  const first = await world.settle(lock.acquire());
  const late = first.ifHeld();
  const waiting = lock.acquire();
  await world.settle(first.release());
  const next = await world.settle(waiting);
  t.false(writeIf(world, late));
  t.true(writeIf(world, next.ifHeld()));
});

/**
 * On paper whoever entered was told to wait for a key that went in the same transaction, whose deletion no later event shows; and `a`
 * was the prefix of `a/b` and `ab`.
 */
test('put and delete of neighbours in one group', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const locks = ['a/b', 'ab', 'a'].map((name) => coordinator.lock(name, { handoff: false }));
  const [held, neighbour, another] = await world.settle(Promise.all(locks.map((lock) => lock.acquire())));
  const waiting = locks.map((lock) => lock.acquire());
  await world.advance(100);
  let transactions = 0;
  store.faults.onRequest(({ method }) => {
    if (method === 'transact') transactions += 1;
    return undefined;
  });
  await world.settle(Promise.all([held!.release(), another!.release()]));
  const next = await world.settle(Promise.all([waiting[0]!, waiting[2]!]));
  t.is(transactions, 1);
  t.true(next.every((lock) => lock.isHeld()));
  t.true(neighbour!.isHeld());
  await world.settle(neighbour!.release());
  t.true((await world.settle(waiting[1]!)).isHeld());
});

/** On paper the lease counted from the repetition, which etcd had only told that there was one: it had begun with the first grant. */
test('answer to a repeated grant', async (t) => {
  const world = new VirtualWorld();
  const one = world.start();
  one.store.faults.nextResponse('grant', 'drop');
  one.store.faults.onRequest(({ method }) => (method === 'renew' ? 'drop' : undefined));
  one.store.faults.onWatch(() => 'hold');
  let held: HeldLock | undefined;
  const acquiring = one.coordinator.lock('a').acquire({ waitForRecovery: true });
  void acquiring.then((lock) => {
    held = lock;
  });
  while (world.cluster.leases.length === 0) await world.advance(10);
  await world.advance(4_000);
  const other = await world.connect();
  const successor = await world.settle(other.coordinator.lock('a').acquire());
  t.not(held?.isHeld(), true);
  await world.settle(successor.release());
  one.store.faults.heal();
  t.true((await world.settle(acquiring)).isHeld());
});

/** On paper a revision that went back told of a restore; by the time anybody looked, new writes had lifted it above what was known. */
test('restore overtaken by new writes', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  world.cluster.put('test/cache/p/limit', '1');
  const cache = coordinator.cache('p/');
  await world.settle(cache.ready());
  const backup = world.cluster.snapshot();
  world.cluster.put('test/cache/p/limit', '2');
  world.cluster.put('test/cache/p/lost', 'x');
  await world.advance(100);
  t.deepEqual([cache.get('limit')?.value, cache.get('lost')?.value], ['2', 'x']);
  const mend = store.faults.cutOff();
  world.cluster.restore(backup);
  for (let write = 0; write < 20; write += 1) world.cluster.put('test/elsewhere', String(write));
  await world.advance(20_000);
  mend();
  await world.advance(20_000);
  t.deepEqual([cache.get('limit')?.value, cache.get('lost')?.value], ['1', undefined]);
  t.is(cache.stats().resyncs, 1);
});

/** On paper an entry that was deleted began at version 1 again, which a writer that had read the old version 1 took for its own. */
test('version reuse after delete', async (t) => {
  const world = new VirtualWorld();
  const [slow, other] = await two(world);
  const [read, written] = [slow, other].map(({ coordinator }) => coordinator.config<{ max: number }>('limits'));
  await world.settle(written!.set({ max: 1 }));
  await world.settle(read!.ready());
  const { version } = read!.get()!;
  await world.settle(written!.delete());
  const anew = await world.settle(written!.set({ max: 2 }));
  t.true(anew.version > version);
  await t.throwsAsync(world.settle(read!.set({ max: 3 }, { ifVersion: version })), {
    instanceOf: VersionConflictError,
  });
});

/** On paper the leader's clock decided what was due: an hour ahead, it ran and settled all ticks of the hour before their time. */
test('clock an hour ahead', async (t) => {
  const world = new VirtualWorld();
  const { clock } = world.runtime;
  const started: { readonly at: number; readonly trulyAt: number }[] = [];
  const processes = [];
  for (const aheadMs of [HOUR, 0, 0]) {
    const host = clock.host();
    host.jumpWall(aheadMs);
    const { coordinator } = world.start({}, undefined, host);
    await world.settle(coordinator.ready());
    coordinator.schedule('report', '*/10 * * * *', ({ scheduledFor }) => {
      started.push({ at: scheduledFor.getTime(), trulyAt: clock.now().wallMs });
    });
    processes.push(coordinator);
  }
  await world.advance(HOUR + 1_000);
  t.deepEqual(started.filter(({ at, trulyAt }) => at > trulyAt).length, 0);
  t.is(new Set(started.map(({ at }) => at)).size, started.length);
  t.is(started.length, 6);
  await world.settle(Promise.all(processes.map((coordinator) => coordinator.close())));
});
