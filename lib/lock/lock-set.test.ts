import test from 'ava';
import { LockLostError, LockTimeoutError } from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';

test('a set that cannot be had is given up at its timeout, whether or not what it took can be released', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  await world.settle(one.coordinator.lock('b').acquire());
  const taking = two.coordinator.lockAll(['a', 'b']).with(() => t.fail(), { timeoutMs: 1_000 });
  const refused = t.throwsAsync(taking, { instanceOf: LockTimeoutError });
  await world.advance(999);
  t.is(world.cluster.entries('test/lock/a/').length, 1);
  two.store.faults.nextResponse('transact', 'drop');
  await world.advance(1);
  await refused;
  await world.advance(5_000);
  t.deepEqual(world.cluster.entries('test/lock/a/'), []);
});

test('the signal of the caller ends the waiting for a set at once', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  await world.settle(one.coordinator.lock('b').acquire());
  const abort = new AbortController();
  const taking = two.coordinator.lockAll(['a', 'b']).with(() => t.fail(), { signal: abort.signal });
  const refused = t.throwsAsync(taking, { message: 'no longer' });
  await world.advance(500);
  two.store.faults.cutOff();
  abort.abort(new Error('no longer'));
  await world.advance(0);
  await refused;
});

test('the loss of a lock that is held already ends the waiting for the others', async (t) => {
  const world = new VirtualWorld();
  const one = await world.connect();
  const two = await world.connect();
  await world.settle(one.coordinator.lock('b').acquire());
  const taking = two.coordinator.lockAll(['a', 'b']).with(() => t.fail());
  const refused = t.throwsAsync(taking, { instanceOf: LockLostError });
  await world.advance(500);
  world.cluster.delete({ prefix: 'test/lock/a/' });
  await world.advance(100);
  await refused;
});

test('the work under a set is told of the first loss, and the call rejects with it', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const working = coordinator.lockAll(['a', 'b']).with(async (held) => {
    t.true(held.isHeld());
    t.is(held.ifHeld().length, 2);
    t.true(held.remainingMs() > 0);
    await new Promise((resolve) => held.signal.addEventListener('abort', resolve));
    t.false(held.isHeld());
    t.true(held.get('a').isHeld());
    t.throws(() => held.assertHeld(), { instanceOf: LockLostError });
    t.throws(() => held.token('c'), { instanceOf: TypeError });
    return 'done';
  });
  const lost = t.throwsAsync(working, { instanceOf: LockLostError, message: /lock "b"/ });
  await world.advance(500);
  world.cluster.delete({ prefix: 'test/lock/b/' });
  await world.advance(100);
  await lost;
  t.deepEqual(world.cluster.entries('test/lock/'), []);
});

for (const names of [[], 'a', undefined]) {
  test(`${JSON.stringify(names)} is no list of names for a set`, (t) => {
    const { coordinator } = new VirtualWorld().start();
    t.throws(() => coordinator.lockAll(names as never), { instanceOf: TypeError });
  });
}
