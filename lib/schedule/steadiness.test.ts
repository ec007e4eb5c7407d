import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Steadiness } from './steadiness.ts';

test('a wall clock that is set, either way, has jumped, and is steady only from then on', async (t) => {
  const clock = new VirtualClock();
  const steadiness = new Steadiness(clock.now());
  await clock.advance(60_000);
  t.is(steadiness.look(clock.now()), 0);
  t.is(steadiness.forMs(clock.now()), 60_000);
  clock.jumpWall(3_600_000);
  t.is(steadiness.look(clock.now()), 3_600_000);
  t.is(steadiness.forMs(clock.now()), 0);
  t.false(steadiness.isConfirmed);
  steadiness.confirm();
  await clock.advance(5_000);
  t.is(steadiness.look(clock.now()), 0);
  t.is(steadiness.forMs(clock.now()), 5_000);
  t.true(steadiness.isConfirmed);
  clock.jumpWall(-3_600_000);
  t.is(steadiness.look(clock.now()), -3_600_000);
  t.is(steadiness.forMs(clock.now()), 0);
});

test('a machine that was suspended has jumped', (t) => {
  const clock = new VirtualClock();
  const steadiness = new Steadiness(clock.now());
  clock.suspend(10_000);
  t.is(steadiness.look(clock.now()), 10_000);
});

test('slewing is no jump, however far it goes', async (t) => {
  const clock = new VirtualClock();
  const steadiness = new Steadiness(clock.now());
  for (let look = 1; look <= 100; look += 1) {
    await clock.advance(30_000);
    clock.jumpWall(15);
    t.is(steadiness.look(clock.now()), 0);
  }
  t.is(steadiness.forMs(clock.now()), 3_000_000);
});
