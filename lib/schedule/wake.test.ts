import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Wake } from './wake.ts';

const { signal } = new AbortController();

test('a wait ends at a ring, after its time, or when the signal aborts, and leaves no timer', async (t) => {
  const clock = new VirtualClock();
  const wake = new Wake();
  const first = wake.wait(clock, 1_000, signal);
  wake.ring();
  await first;
  t.is(clock.pendingTimers, 0);
  await clock.settle(wake.wait(clock, 1_000, signal));
  t.is(clock.elapsedMs, 1_000);
  const ended = new AbortController();
  const last = wake.wait(clock, 1_000, ended.signal);
  ended.abort();
  await last;
  t.is(clock.pendingTimers, 0);
});

test('a ring that nobody waits for ends the next wait at once, and no other', async (t) => {
  const clock = new VirtualClock();
  const wake = new Wake();
  wake.ring();
  wake.ring();
  await wake.wait(clock, 1_000, signal);
  t.is(clock.elapsedMs, 0);
  await clock.settle(wake.wait(clock, 1_000, signal));
  t.is(clock.elapsedMs, 1_000);
});
