import test from 'ava';
import { VirtualClock } from './virtual-clock.ts';

test('a paused process runs its timers late, in the order in which they were due', async (t) => {
  const clock = new VirtualClock();
  const host = clock.host();
  const seen: string[] = [];
  host.schedule(30, () => seen.push('c'));
  host.schedule(10, () => seen.push('a'));
  host.schedule(20, () => seen.push('b'));
  host.schedule(100, () => seen.push('d'));
  host.pause();
  const before = host.now();
  await clock.advance(50);
  t.deepEqual(seen, []);
  t.is(host.now().monotonicMs - before.monotonicMs, 50);

  host.resume();
  await clock.advance(0);
  t.deepEqual(seen, ['a', 'b', 'c']);
  await clock.advance(50);
  t.deepEqual(seen, ['a', 'b', 'c', 'd']);
  t.is(host.pendingTimers, 0);
});

test('a suspended machine keeps what was left of its timers, and only its wall clock goes on', async (t) => {
  const clock = new VirtualClock();
  const host = clock.host();
  let ran = 0;
  host.schedule(10, () => (ran += 1));
  await clock.advance(4);
  const before = host.now();
  host.suspend();
  await clock.advance(1_000);
  host.resume();
  t.is(host.now().monotonicMs, before.monotonicMs);
  t.is(host.now().wallMs - before.wallMs, 1_000);
  await clock.advance(5);
  t.is(ran, 0);
  await clock.advance(1);
  t.is(ran, 1);
});

test('what stops one host stops no other', async (t) => {
  const clock = new VirtualClock();
  const [first, second] = [clock.host(), clock.host()];
  let ran = 0;
  second.schedule(10, () => (ran += 1));
  first.suspend();
  first.jumpWall(3_600_000);
  await clock.advance(10);
  t.is(ran, 1);
  t.is(second.now().wallMs, clock.now().wallMs);
});

test('a timer that was made or cancelled while the host stood still counts for the time afterwards', async (t) => {
  const clock = new VirtualClock();
  const host = clock.host();
  const cancel = host.schedule(1, () => t.fail());
  host.pause();
  let ran = 0;
  host.schedule(5, () => (ran += 1));
  cancel();
  await clock.advance(20);
  t.is(ran, 0);
  host.resume();
  await clock.advance(0);
  t.is(ran, 1);
});
