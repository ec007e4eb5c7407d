import test from 'ava';
import { ClosedError, CoordinationUnavailableError } from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';
import { Ticket } from './ticket.ts';

const LOCK = 'test/lock/a/';

test('a try is not refused because of an acquire that has been given up', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  world.cluster.stop('freeze');
  await t.throwsAsync(world.settle(coordinator.lock('a').acquire({ timeoutMs: 100 })), {
    instanceOf: CoordinationUnavailableError,
  });
  const trying = coordinator.lock('a').tryAcquire();
  await world.advance(100);
  world.cluster.start();
  t.true((await world.settle(trying))?.isHeld());
});

test('a try that is given up at the very moment at which it succeeds leaves the lock free', async (t) => {
  for (let delay = 0; delay < 40; delay += 1) {
    const world = new VirtualWorld();
    const { coordinator, store } = await world.connect();
    const abort = new AbortController();
    store.faults.onResponse(() => {
      let turns: Promise<void> = Promise.resolve();
      for (let turn = 0; turn < delay; turn += 1) turns = turns.then(() => {});
      void turns.then(() => abort.abort(new Error('no longer')));
      return undefined;
    });
    const outcome = await world.settle(
      coordinator
        .lock('a')
        .tryAcquire({ signal: abort.signal })
        .catch((error: Error) => error.message),
    );
    if (typeof outcome === 'string') t.is(outcome, 'no longer');
    else await outcome?.release();
    await world.advance(1_000);
    t.deepEqual(world.cluster.entries(LOCK), [], `${delay} microtasks after the answer`);
  }
});

test('an answer that comes when the session has lapsed refuses nobody who waits for the recovery', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', { delayMs: 100 });
  const waiting = coordinator.lock('a').acquire({ waitForRecovery: true });
  await world.advance(50);
  world.runtime.clock.suspend(4_800);
  t.true((await world.settle(waiting)).isHeld());
  t.is(world.cluster.entries(LOCK).length, 1);
});

test('a try that is under way when the coordinator closes is refused as everybody is', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', { delayMs: 500 });
  const trying = t.throwsAsync(coordinator.lock('a').tryAcquire(), { instanceOf: ClosedError });
  await world.advance(100);
  await world.settle(coordinator.close());
  await trying;
  await world.advance(1_000);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('what a try got while the coordinator was closing is told to stop, and is not released under its work', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const other = await world.settle(coordinator.lock('b').acquire());
  store.faults.nextResponse('transact', { delayMs: 500 });
  const trying = coordinator.lock('a').tryAcquire();
  await world.advance(100);
  const closing = coordinator.close({ drainMs: 2_000 });
  const held = await world.settle(trying);
  await world.settle(other.release());
  t.true(held?.signal.reason instanceof ClosedError);
  await world.settle(closing);
  t.is(world.cluster.entries(LOCK).length, 1);
});

test('an acquire that is given up while its enqueue is under way takes the key away as soon as it is answered', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  store.faults.nextResponse('transact', { delayMs: 400 });
  await t.throwsAsync(world.settle(coordinator.lock('a').acquire({ timeoutMs: 100 })), {
    instanceOf: CoordinationUnavailableError,
  });
  t.is(world.cluster.entries(LOCK).length, 1);
  await world.advance(310);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('a waiter keeps its place although a member that lags behind does not know of it', async (t) => {
  const world = new VirtualWorld();
  const [one, two, three] = [await world.connect(), await world.connect(), await world.connect()];
  const held = await world.settle(one.coordinator.lock('a').acquire());
  const second = two.coordinator.lock('a').acquire();
  await world.advance(100);
  const third = three.coordinator.lock('a').acquire();
  await world.advance(100);
  const places = world.cluster.entries(LOCK).map(({ key }) => key);
  two.store.faults.nextRequest('range', { staleBy: 5 });
  await world.settle(held.release());
  const next = await world.settle(second);
  t.deepEqual(
    world.cluster.entries(LOCK).map(({ key }) => key),
    places.filter((key) => key !== places[0]),
  );
  await world.settle(next.release());
  t.true((await world.settle(third)).isHeld());
});

test.serial(
  'a key that is removed between its turn and its grant is replaced, and closing does not wait for it',
  async (t) => {
    const world = new VirtualWorld();
    const { coordinator } = await world.connect();
    const turn = Reflect.get(Ticket.prototype, 'turn');
    t.teardown(() => {
      Ticket.prototype.turn = turn;
    });
    const removed: string[] = [];
    Ticket.prototype.turn = async function (this: Ticket) {
      await turn.call(this);
      if (removed.length > 0) return;
      removed.push(this.key);
      world.cluster.delete(this.key);
      this.lost(new Error('its key was removed'));
    };
    const held = await world.settle(coordinator.lock('a').acquire());
    t.true(held.isHeld());
    t.is(removed.length, 1);
    t.is(world.cluster.entries(LOCK).length, 1);
    await held.release();
    await world.settle(coordinator.close());
  },
);
