import test from 'ava';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import { unpackToken } from './token.ts';

const LOCK = 'test/lock/a/';

/** Counts the calls of a process from now on; watches are not calls. */
function calls({ store }: Process): string[] {
  const made: string[] = [];
  store.faults.onRequest((call) => {
    if (!['renew', 'leaseKeys', 'watch'].includes(call.method)) made.push(call.method);
    return undefined;
  });
  return made;
}

test('a lock that lingers is taken again without a call, under the next token', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const lock = one.coordinator.lock('a', { lingerMs: 1_000 });
  let { token } = await world.settle(lock.acquire().then(async (held) => (await held.release(), held)));
  const made = calls(one);
  for (let cycle = 0; cycle < 20; cycle += 1) {
    await world.advance(40);
    const held = await (cycle % 2 === 0 ? lock.acquire() : lock.tryAcquire());
    t.true(held!.token > token);
    t.true(held!.isHeld());
    token = held!.token;
    await held!.release();
  }
  t.deepEqual(made, []);
  t.is(unpackToken(token).handoff, 20);
});

test('it goes when its time is up, counted from the last release', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a', { lingerMs: 500 });
  await world.settle(lock.with(() => {}));
  await world.advance(400);
  await lock.with(() => {});
  await world.advance(450);
  t.is(world.cluster.entries(LOCK).length, 1);
  await world.advance(200);
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('it goes at once when another process asks for it, whether that asks before, while or after it rests', async (t) => {
  for (const askedAfterMs of [0, 5, 300]) {
    const world = new VirtualWorld();
    const [one, two] = [await world.connect(), await world.connect()];
    const lock = one.coordinator.lock('a', { lingerMs: 60_000 });
    const held = await world.settle(lock.acquire());
    let other: ReturnType<typeof lock.acquire> | undefined;
    if (askedAfterMs === 0) other = two.coordinator.lock('a').acquire();
    await world.advance(5);
    await held.release();
    await world.advance(askedAfterMs);
    other ??= two.coordinator.lock('a').acquire();
    const next = await world.settle(other, 1_000);
    t.true(next.isHeld());
    t.true(next.token > held.token);
  }
});

test('a process that has been asked does not pass the lock on to its own any more', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [await world.connect(), await world.connect()];
  const lock = one.coordinator.lock('a', { lingerMs: 60_000 });
  await world.settle(lock.with(() => {}));
  await world.advance(100);
  const held = await lock.acquire();
  const other = two.coordinator.lock('a').acquire();
  await world.advance(100);
  const mine = lock.acquire();
  await held.release();
  const next = await world.settle(other, 1_000);
  await world.settle(next.release());
  t.true((await world.settle(mine)).token > next.token);
});

test('a try of another process is refused while it rests: that is its price', async (t) => {
  const world = new VirtualWorld();
  const [one, two] = [await world.connect(), await world.connect()];
  await world.settle(one.coordinator.lock('a', { lingerMs: 300 }).with(() => {}));
  t.is(await world.settle(two.coordinator.lock('a').tryAcquire()), undefined);
  await world.advance(400);
  t.true((await world.settle(two.coordinator.lock('a').tryAcquire()))?.isHeld());
});

test('of too many that rest, the one that has rested for longest goes', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  for (let index = 0; index < 1_010; index += 1) {
    await world.settle(coordinator.lock(`n${index}`, { lingerMs: 60_000 }).with(() => {}));
  }
  await world.advance(100);
  const resting = world.cluster.entries('test/lock/').map(({ key }) => key.split('/')[2]);
  t.is(resting.length, 1_000);
  t.false(resting.includes('n0'));
  t.true(resting.includes('n1009'));
});

test('nothing that rests is given out without contact, or after a loss', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const lock = coordinator.lock('a', { lingerMs: 60_000 });
  await world.settle(lock.with(() => {}));
  const restore = store.faults.cutOff();
  while (coordinator.health.state === 'connected') await world.advance(50);
  const waiting = lock.acquire();
  await world.advance(1_000);
  restore();
  t.is(unpackToken((await world.settle(waiting)).token).handoff, 0);
});

test('a lock that was lost while it rested is acquired anew', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const lock = coordinator.lock('a', { lingerMs: 60_000 });
  const first = await world.settle(lock.acquire());
  await first.release();
  world.cluster.revoke(world.cluster.leases[0]!);
  await world.advance(10);
  const next = await world.settle(lock.acquire());
  t.true(next.token > first.token);
  t.is(unpackToken(next.token).handoff, 0);
});

test('a try is not refused by a lock that rests and cannot be given out any more', async (t) => {
  for (const first of ['acquire', 'tryAcquire'] as const) {
    const world = new VirtualWorld();
    const { coordinator, store } = await world.connect();
    const lock = coordinator.lock('a', { lingerMs: 60_000 });
    const held = await world.settle(lock[first]());
    await held!.release();
    store.faults.onRequest((call) => (call.method === 'renew' ? 'drop' : undefined));
    while (coordinator.health.state === 'connected') await world.advance(50);
    t.is(coordinator.health.state, 'suspended');
    const next = await world.settle(lock.tryAcquire());
    t.true(next?.isHeld(), first);
    t.is(unpackToken(next!.token).handoff, 0);
  }
});

test('closing leaves nothing of what rests, no timer and no watch', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  for (const name of ['a', 'b']) await world.settle(coordinator.lock(name, { lingerMs: 60_000 }).with(() => {}));
  await world.advance(50);
  await world.settle(coordinator.close());
  t.deepEqual(world.cluster.entries('test/'), []);
  t.is(world.cluster.openWatches, 0);
  t.is(world.runtime.clock.pendingTimers, 0);
});

test('a tenure that has given out compares of its key does not linger', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const held = await world.settle(coordinator.lock('a', { lingerMs: 60_000 }).acquire());
  held.ifHeld();
  await world.settle(held.release());
  t.deepEqual(world.cluster.entries(LOCK), []);
});

test('options that cannot work are refused before any call', (t) => {
  const { coordinator } = new VirtualWorld().start();
  t.throws(() => coordinator.lock('a', { lingerMs: -1 }), { instanceOf: RangeError, message: /lingerMs/ });
  t.throws(() => coordinator.lock('a', { lingerMs: 5, handoff: false }), { instanceOf: TypeError, message: /handoff/ });
  t.throws(() => coordinator.lock('a', { handoff: 'yes' as never }), { instanceOf: TypeError, message: /handoff/ });
  t.throws(() => coordinator.lock('a', { linger: 5 } as never), { instanceOf: TypeError, message: /linger/ });
});
