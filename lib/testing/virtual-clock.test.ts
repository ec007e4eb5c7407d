import test from 'ava';
import { elapsedMs, sleep } from '../runtime/clock.ts';
import { VirtualClock } from './virtual-clock.ts';

test('timers run by due time, then by creation', async (t) => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.schedule(20, () => seen.push('late'));
  clock.schedule(10, () => seen.push('first'));
  clock.schedule(10, () => seen.push('second'));

  await clock.advance(10);
  t.deepEqual(seen, ['first', 'second']);
  await clock.advance(10);
  t.deepEqual(seen, ['first', 'second', 'late']);
  t.is(clock.pendingTimers, 0);
});

test('a timer sees every effect of the one before it, however long its chain of promises', async (t) => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  clock.schedule(1, () => {
    void (async () => {
      for (let step = 0; step < 1_000; step += 1) await Promise.resolve();
      seen.push('effect');
    })();
  });
  clock.schedule(1, () => seen.push('next timer'));
  await clock.advance(1);
  t.deepEqual(seen, ['effect', 'next timer']);
});

test('a timer made while time passes runs in the same advance, if it is due by then', async (t) => {
  const clock = new VirtualClock();
  const wakes: number[] = [];
  const work = (async () => {
    for (let step = 0; step < 3; step += 1) {
      await sleep(clock, 4);
      wakes.push(clock.elapsedMs);
    }
  })();
  await clock.advance(10);
  t.deepEqual(wakes, [4, 8]);
  await clock.advance(2);
  await work;
  t.deepEqual(wakes, [4, 8, 12]);
});

test('a timer that was cancelled neither runs nor counts', async (t) => {
  const clock = new VirtualClock();
  const cancel = clock.schedule(5, () => t.fail());
  t.is(clock.pendingTimers, 1);
  cancel();
  cancel();
  t.is(clock.pendingTimers, 0);
  t.is(clock.nextTimerMs, undefined);
  await clock.advance(10);
});

test('settle moves only as far as it must, and gives value and error alike', async (t) => {
  const clock = new VirtualClock();
  t.is(await clock.settle(sleep(clock, 700).then(() => 'done')), 'done');
  t.is(clock.elapsedMs, 700);
  await t.throwsAsync(
    clock.settle(
      sleep(clock, 1).then(() => {
        throw new RangeError('broken');
      }),
    ),
    { instanceOf: RangeError, message: 'broken' },
  );
});

test('settle says why it gives up: time ran out, or nothing is left that could help', async (t) => {
  const clock = new VirtualClock();
  const slow = sleep(clock, 5_000);
  await t.throwsAsync(clock.settle(slow, { withinMs: 1_000 }), {
    message: /pending after 1000 ms.*the next in 4000 ms/,
  });
  t.is(clock.elapsedMs, 1_000);
  await clock.settle(slow);
  await t.throwsAsync(clock.settle(new Promise<void>(() => {})), { message: /no timer is left/ });
});

test('a loop that waits for nothing is an error, since time would stand still for ever', async (t) => {
  const clock = new VirtualClock({ turns: 1 });
  const again = (): void => void clock.schedule(0, again);
  again();
  await t.throwsAsync(clock.advance(10), { message: /Time stands still at 0 ms/ });
});

test('time cannot be moved twice at once', async (t) => {
  const clock = new VirtualClock();
  const first = clock.advance(1);
  await t.throwsAsync(clock.advance(1), { message: /moved already/ });
  await first;
});

test('a suspended machine shows on the wall clock only, and elapsed time counts it', (t) => {
  const clock = new VirtualClock();
  const before = clock.now();
  clock.suspend(30_000);
  t.is(clock.now().monotonicMs, before.monotonicMs);
  t.is(elapsedMs(before, clock.now()), 30_000);
  clock.jumpWall(-90_000);
  t.is(elapsedMs(before, clock.now()), 0);
});
