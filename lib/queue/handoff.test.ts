import test from 'ava';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import { unpackToken } from './token.ts';

const LOCK = 'test/lock/a/';

/** Counts the calls of a process from now on. */
function calls({ store }: Process): string[] {
  const made: string[] = [];
  store.faults.onRequest((call) => {
    if (call.method !== 'renew' && call.method !== 'leaseKeys') made.push(call.method);
    return undefined;
  });
  return made;
}

test('a release passes the lock on in this process without a call, under the next token', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const lock = one.coordinator.lock('a');
  const first = await world.settle(lock.acquire());
  const [second, third] = [lock.acquire(), lock.acquire()];
  const made = calls(one);
  await first.release();
  t.false(first.isHeld());
  const next = await second;
  t.true(next.isHeld());
  await next.release();
  const last = await third;
  t.deepEqual(made, []);
  t.deepEqual(
    [first, next, last].map(({ token }) => unpackToken(token).handoff),
    [0, 1, 2],
  );
  t.is(new Set([first, next, last].map(({ token }) => unpackToken(token).revision)).size, 1);
  t.is(world.cluster.entries(LOCK).length, 1);
  await world.settle(last.release());
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('after its time a process lets another have its turn, although more of its own wait', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [await world.connect(), await world.connect()];
  const served: string[] = [];
  const work = (who: string, { coordinator }: Process) =>
    coordinator.lock('a').with(async () => {
      served.push(who);
      await new Promise<void>((resolve) => {
        world.runtime.clock.schedule(8, resolve);
      });
    });
  const mine = Array.from({ length: 6 }, () => work('mine', one));
  await world.advance(1);
  const others = Array.from({ length: 2 }, () => work('other', two));
  await world.settle(Promise.all([...mine, ...others]));
  t.deepEqual(served, ['mine', 'mine', 'mine', 'other', 'other', 'mine', 'mine', 'mine']);
});

test('nothing is passed on while renewals fail', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const lock = coordinator.lock('a');
  store.faults.onRequest((call) => (call.method === 'renew' ? 'drop' : undefined));
  while (coordinator.health.state !== 'suspended') await world.advance(50);
  store.faults.heal();
  const first = await world.settle(lock.acquire());
  const second = lock.acquire();
  if (coordinator.health.state === 'suspended') {
    const released = first.release();
    await world.runtime.clock.flush();
    t.is(coordinator.health.state, 'suspended');
    await world.settle(released);
  }
  t.is(unpackToken((await world.settle(second)).token).handoff, 0);
});

test('a tenure that has given out compares of its key is not passed on: the next one would pass them, too', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a');
  const first = await world.settle(lock.acquire());
  const [compare] = first.ifHeld();
  const second = lock.acquire();
  await world.settle(first.release());
  const next = await world.settle(second);
  t.is(unpackToken(next.token).handoff, 0);
  t.not(unpackToken(next.token).revision, compare!.createRevision);
  t.not(next.ifHeld()[0]!.key, compare!.key);
});

test('without handoff a lock is neither passed on nor taken from one who would', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const passing = coordinator.lock('a');
  const strict = coordinator.lock('a', { handoff: false });
  for (const [holder, waiter] of [
    [passing, strict],
    [strict, passing],
  ] as const) {
    const first = await world.settle(holder.acquire());
    const second = waiter.acquire();
    await world.settle(first.release());
    const next = await world.settle(second);
    t.is(unpackToken(next.token).handoff, 0);
    await world.settle(next.release());
  }
});

test('a key that has been passed on as often as a token can count leaves, and the next token is greater', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a');
  let held = await world.settle(lock.acquire());
  for (let handoff = 1; handoff <= 4_095; handoff += 1) {
    const next = lock.acquire();
    await held.release();
    const { token } = held;
    held = await next;
    if (held.token <= token) t.fail(`${held.token} after ${token}`);
  }
  t.is(unpackToken(held.token).handoff, 4_095);
  const next = lock.acquire();
  await world.settle(held.release());
  const { token } = await world.settle(next);
  t.is(unpackToken(token).handoff, 0);
  t.true(token > held.token);
});

test('a key that was deleted by somebody is passed on to nobody', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a');
  const first = await world.settle(lock.acquire());
  const waiting = lock.acquire();
  world.cluster.revoke(world.cluster.leases[0]!);
  await world.advance(10);
  t.false(first.isHeld());
  const next = await world.settle(waiting);
  t.true(next.token > first.token);
  t.is(unpackToken(next.token).handoff, 0);
});

test('the loss of a key that was passed on is told to whoever has it, and to nobody before', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a');
  const first = await world.settle(lock.acquire());
  const waiting = lock.acquire();
  await first.release();
  const second = await waiting;
  world.cluster.revoke(world.cluster.leases[0]!);
  await world.advance(10);
  t.true(second.signal.aborted);
  t.false(first.signal.aborted);
});

test('an election is never passed on: each term is one at etcd, too', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const election = coordinator.election('e');
  const first = await world.settle(election.campaign());
  const second = election.campaign();
  await world.settle(first.resign());
  t.is(unpackToken((await world.settle(second)).token).handoff, 0);
});
