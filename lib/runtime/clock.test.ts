import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test from 'ava';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { backgroundClock, elapsedMs, sleep, systemClock, type Instant } from './clock.ts';

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

test('what has arrived when a timer is due is read before it is called, however late that is', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const writer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [reader] = (await once(server, 'connection')) as [Socket];
  for (const clock of [systemClock, backgroundClock]) {
    const order: string[] = [];
    const read = once(reader, 'data').then(() => order.push('read'));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const rung = new Promise<void>((resolve) => {
      clock.schedule(1, () => {
        order.push('rung');
        resolve();
      });
    });
    writer.write('an answer');
    computeForMs(20);
    await Promise.all([read, rung]);
    t.deepEqual(order, ['read', 'rung']);
  }
  writer.destroy();
  reader.destroy();
  server.close();
});

test('a timer that is due and waits for that can still be cancelled', async (t) => {
  /* Both are overdue by the time that Node looks at its timers, and so are due in one turn. */
  const first = new Promise<void>((resolve) => {
    systemClock.schedule(1, () => {
      cancel();
      resolve();
    });
  });
  const cancel = systemClock.schedule(1, () => t.fail());
  computeForMs(20);
  await first;
  await new Promise<void>((resolve) => {
    systemClock.schedule(1, resolve);
  });
  t.pass();
});

test('a timer for which the process does not stay alive is called although nothing else happens', async (t) => {
  const script = `
    import { createServer } from 'node:net';
    import { backgroundClock } from ${JSON.stringify(new URL('clock.js', import.meta.url).href)};
    createServer().listen(0, '127.0.0.1', () => {
      backgroundClock.schedule(10, () => process.exit(0));
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const inVain = setTimeout(() => child.kill(), 20_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(inVain);
  t.is(code, 0);
});

function computeForMs(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
