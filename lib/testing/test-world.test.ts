import test from 'ava';
import { CoordinationUnavailableError, LockLostError } from '../errors.ts';
import { TestWorld } from './test-world.ts';

test('an hour under a lock takes no time, and who is cut off loses it before the next one has it', async (t) => {
  const world = new TestWorld();
  const one = await world.connect({ instanceId: 'one' });
  const two = await world.connect({ instanceId: 'two' });
  const held = await world.settle(one.coordinator.lock('a').acquire());
  await world.advance(3_600_000);
  t.true(held.isHeld());
  one.cutOff();
  const next = await world.settle(two.coordinator.lock('a').acquire());
  t.false(held.isHeld());
  t.true(held.signal.reason instanceof LockLostError);
  t.true(next.token > held.token);
  one.heal();
  t.true((await world.settle(one.coordinator.lock('b').acquire({ waitForRecovery: true }))).isHeld());
});

test('who is paused is told late, and isHeld is right all the same', async (t) => {
  const world = new TestWorld();
  const one = await world.connect();
  const two = await world.connect();
  const held = await world.settle(one.coordinator.lock('a').acquire());
  one.pause();
  await world.settle(two.coordinator.lock('a').acquire());
  t.false(held.signal.aborted, 'no timer has run');
  t.false(held.isHeld());
  one.resume();
  await world.advance(0);
  t.true(held.signal.aborted);
});

test('etcd is away and comes back; what was sent and not answered is done once', async (t) => {
  const world = new TestWorld({ seed: 7 });
  const { coordinator } = await world.connect();
  world.stopEtcd();
  await t.throwsAsync(world.settle(coordinator.lock('a').tryAcquire()), { instanceOf: CoordinationUnavailableError });
  world.startEtcd();
  const process = await world.connect();
  const config = process.coordinator.config('limits');
  await world.settle(config.ready());
  const find = process.loseAnswers();
  const writing = config.set({ max: 1 });
  await world.advance(500);
  find();
  t.is((await world.settle(writing)).version, 1);
  const slept = world.sleep(5_000);
  await world.settle(slept);
  await world.settle(process.coordinator.close());
});
