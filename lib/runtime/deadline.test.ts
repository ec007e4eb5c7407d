import { getEventListeners } from 'node:events';
import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { DeadlineReached, underDeadline, withinDeadline } from './deadline.ts';

test('an act that is done in time gives its own outcome, and leaves nothing', async (t) => {
  const clock = new VirtualClock();
  const caller = new AbortController();
  t.is(await withinDeadline(clock, 100, caller.signal, async () => 'done'), 'done');
  await t.throwsAsync(
    withinDeadline(clock, 100, caller.signal, () => Promise.reject(new Error('own'))),
    { message: 'own' },
  );
  t.is(clock.pendingTimers, 0);
  t.is(getEventListeners(caller.signal, 'abort').length, 0);
});

test('at the deadline it settles whatever the act does, and tells the act', async (t) => {
  const clock = new VirtualClock();
  let told: unknown;
  const late = withinDeadline(clock, 100, undefined, (signal) => {
    signal.addEventListener('abort', () => {
      told = signal.reason;
    });
    return new Promise(() => {});
  });
  const error = await t.throwsAsync(clock.settle(late), { instanceOf: DeadlineReached, message: /100 ms/ });
  t.is(told, error);
  t.is(clock.elapsedMs, 100);
});

test('the caller’s reason comes first, and an act is not begun for a caller that is gone', async (t) => {
  const clock = new VirtualClock();
  const caller = new AbortController();
  const waiting = t.throwsAsync(
    withinDeadline(clock, 100, caller.signal, () => new Promise(() => {})),
    { message: 'why' },
  );
  caller.abort(new Error('why'));
  await waiting;
  await t.throwsAsync(
    withinDeadline(clock, 100, caller.signal, async () => t.fail()),
    { message: 'why' },
  );
  t.is(clock.pendingTimers, 0);
});

test('under a deadline the act has the last word', async (t) => {
  const clock = new VirtualClock();
  const done = underDeadline(
    clock,
    100,
    undefined,
    (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('got it after all'));
      }),
  );
  t.is(await clock.settle(done), 'got it after all');
});
