import { getEventListeners } from 'node:events';
import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { elapsedMs, sleep, systemClock, type Instant } from './clock.ts';

const at = (monotonicMs: number, wallMs: number): Instant => ({ monotonicMs, wallMs });

const table: readonly (readonly [claim: string, since: Instant, until: Instant, ms: number])[] = [
  ['both clocks agree', at(0, 1_000), at(50, 1_050), 50],
  ['a suspended machine is seen by the wall clock', at(0, 1_000), at(50, 9_000), 8_000],
  ['a wall clock that is set back takes nothing away', at(0, 9_000), at(50, 1_000), 50],
  ['nothing is negative', at(100, 9_000), at(50, 1_000), 0],
];
for (const [claim, since, until, ms] of table) {
  test(`elapsed time is the greater of both differences: ${claim}`, (t) => {
    t.is(elapsedMs(since, until), ms);
  });
}

test('a sleep ends after its time, or with the reason of its signal, and leaves neither timer nor listener', async (t) => {
  const clock = new VirtualClock();
  const abort = new AbortController();
  let slept = false;
  const sleeping = sleep(clock, 100, abort.signal).then(() => {
    slept = true;
  });
  await clock.advance(99);
  t.false(slept);
  await clock.advance(1);
  await sleeping;
  t.is(getEventListeners(abort.signal, 'abort').length, 0);

  const cut = t.throwsAsync(sleep(clock, 100, abort.signal), { message: 'why' });
  abort.abort(new Error('why'));
  await cut;
  await t.throwsAsync(sleep(clock, 100, abort.signal), { message: 'why' });
  t.is(clock.pendingTimers, 0);
  t.is(getEventListeners(abort.signal, 'abort').length, 0);
});

test('the clock of the process goes on, runs what is due, and not what was cancelled', async (t) => {
  const before = systemClock.now();
  const cancel = systemClock.schedule(0, () => t.fail());
  cancel();
  cancel();
  /* Longer than one of Node's timers, which would run at once. */
  const cancelLong = systemClock.schedule(2 ** 40, () => t.fail());
  await new Promise<void>((resolve) => {
    systemClock.schedule(-5, resolve);
  });
  cancelLong();
  t.true(elapsedMs(before, systemClock.now()) >= 0);
});
