import test from 'ava';
import { Keyspace } from '../session/keyspace.ts';
import type { HostClock } from '../testing/host-clock.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 1);
const keys = new Keyspace('test').job('report');

/** Processes with clocks of their own, so far ahead; the first leads. What was started, by whom, and how early by the true time. */
async function scene(ahead: readonly number[], pattern = '*/10 * * * *') {
  const world = new VirtualWorld();
  const { clock } = world.runtime;
  const starts: { readonly by: number; readonly at: string; readonly earlyMs: number }[] = [];
  const machines: (Process & { readonly host: HostClock })[] = [];
  for (const [by, aheadMs] of ahead.entries()) {
    const host = clock.host();
    host.jumpWall(aheadMs);
    const process = world.start({ instanceId: `process ${by}` }, undefined, host);
    await world.settle(process.coordinator.ready());
    machines.push({ ...process, host });
  }
  const jobs = machines.map(({ coordinator }, by) =>
    coordinator.schedule('report', pattern, ({ scheduledFor }) => {
      const trueMs = clock.now().wallMs;
      starts.push({ by, at: scheduledFor.toISOString().slice(11, 16), earlyMs: scheduledFor.getTime() - trueMs });
    }),
  );
  const crash = (by: number): void => {
    const { host, coordinator } = machines[by]!;
    host.pause();
    world.cluster.revoke(BigInt(`0x${coordinator.session!.lease}`));
  };
  const close = (): Promise<unknown> =>
    world.settle(
      Promise.all(machines.filter(({ host }) => !host.isStopped).map(({ coordinator }) => coordinator.close())),
    );
  return { world, machines, jobs, starts, crash, close };
}

test('a clock an hour ahead lets somebody else lead, and eats nothing', async (t) => {
  const { world, starts, close } = await scene([HOUR, 0, 0]);
  await world.advance(HOUR + SECOND);
  t.deepEqual(
    starts.map(({ at }) => at),
    ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00'],
  );
  t.true(starts.every(({ by, earlyMs }) => by !== 0 && earlyMs <= 0));
  const [warning] = world.runtime.logger.of('schedule.ahead');
  t.true(Math.abs((warning!.fields['aheadMs'] as number) - HOUR) < 5 * SECOND);
  await close();
});

test('a clock an hour ahead that takes over from a leader that died eats nothing', async (t) => {
  const { world, starts, crash, close } = await scene([0, HOUR, 0]);
  await world.advance(15 * MINUTE);
  t.deepEqual(
    starts.map(({ by }) => by),
    [0],
  );
  crash(0);
  await world.advance(50 * MINUTE);
  t.deepEqual(
    starts.map(({ at }) => at),
    ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00'],
  );
  t.true(starts.every(({ by, earlyMs }) => by !== 1 && earlyMs <= 0));
  await close();
});

test('a clock that is behind may lead: it is late, and eats nothing', async (t) => {
  const { world, starts, close } = await scene([-5 * MINUTE, 0]);
  await world.advance(HOUR);
  t.deepEqual(
    starts.map(({ at }) => at),
    ['00:00', '00:10', '00:20', '00:30', '00:40', '00:50'],
  );
  t.true(starts.every(({ earlyMs }) => earlyMs <= -5 * MINUTE));
  await close();
});

test('a clock within the tolerance leads, whoever is right', async (t) => {
  const { world, starts, close } = await scene([20 * SECOND, 0, 0]);
  await world.advance(15 * MINUTE);
  t.deepEqual(
    starts.map(({ by }) => by),
    [0],
  );
  await close();
});

test('a leader whose clock jumps ahead starts nothing by it, and lets another one lead', async (t) => {
  const { world, machines, starts, close } = await scene([0, 0]);
  await world.advance(15 * MINUTE);
  machines[0]!.host.jumpWall(HOUR);
  await world.advance(50 * MINUTE);
  t.deepEqual(
    starts.map(({ at }) => at),
    ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00'],
  );
  t.deepEqual(
    starts.map(({ by }) => by),
    [0, 1, 1, 1, 1, 1],
  );
  t.true(starts.every(({ earlyMs }) => earlyMs <= 0));
  await close();
});

test('after a jump nothing is started for ten seconds, also where the others agree', async (t) => {
  const { world, machines, starts, close } = await scene([0, 0], '* * * * *');
  await world.advance(MINUTE - (world.runtime.clock.elapsedMs % MINUTE) - 3 * SECOND);
  const before = starts.length;
  machines[0]!.host.jumpWall(2 * SECOND);
  await world.advance(10 * SECOND);
  t.is(starts.length, before);
  await world.advance(5 * SECOND);
  t.is(starts.length, before + 1);
  t.is(world.runtime.logger.of('schedule.jumped').length, 1);
  await close();
});

test('a clock that is ahead, where nobody else has the job, does not ask all the time', async (t) => {
  const world = new VirtualWorld();
  const [host, other] = [world.runtime.clock.host(), world.start()];
  host.jumpWall(HOUR);
  const { coordinator } = world.start({}, undefined, host);
  other.coordinator.schedule('other', '0 0 1 1 *', () => {});
  coordinator.schedule('report', '* * * * *', () => t.fail());
  await world.advance(10 * MINUTE);
  const asked = world.runtime.logger.of('schedule.ahead').length;
  t.true(asked >= 9 && asked <= 20, `${asked} times`);
  await world.settle(Promise.all([coordinator.close(), other.coordinator.close()]));
});

test('a clock that jumps ahead and is set right again at once costs nothing', async (t) => {
  const { world, machines, starts, close } = await scene([0, 0]);
  await world.advance(15 * MINUTE);
  machines[0]!.host.jumpWall(HOUR);
  await world.advance(35 * SECOND);
  machines[0]!.host.jumpWall(-HOUR);
  await world.advance(50 * MINUTE);
  t.is(starts.length, 6);
  t.true(starts.every(({ earlyMs }) => earlyMs <= 0));
  await close();
});

test('a clock that is set back is late, and starts no tick again', async (t) => {
  const { world, machines, starts, close } = await scene([0]);
  await world.advance(HOUR + 5 * MINUTE);
  t.is(starts.length, 6);
  machines[0]!.host.jumpWall(-HOUR);
  await world.advance(50 * MINUTE);
  t.is(starts.length, 6);
  t.is(world.runtime.logger.of('schedule.future').length, 1);
  await world.advance(2 * HOUR);
  t.is(new Set(starts.map(({ at }) => at)).size, starts.length);
  await close();
});

test('who is alone believes a clock that was set after a minute, not before', async (t) => {
  const { world, machines, starts, close } = await scene([0], '* * * * *');
  await world.advance(2 * MINUTE + 30 * SECOND);
  t.is(starts.length, 2);
  machines[0]!.host.jumpWall(HOUR);
  await world.advance(58 * SECOND);
  t.is(starts.length, 2);
  await world.advance(30 * SECOND);
  t.true(starts.length > 2);
  await close();
});

test('a last tick in the future is told, with what to do; deleting it makes ticks count from now', async (t) => {
  const { world, machines, jobs, starts, close } = await scene([HOUR], '*/10 * * * *');
  /* Alone with a wrong clock, nobody could know better. */
  await world.advance(5 * MINUTE);
  await world.settle(machines[0]!.coordinator.close());
  const host = world.runtime.clock.host();
  const right = world.start({ instanceId: 'right' }, undefined, host);
  const after: string[] = [];
  right.coordinator.schedule('report', '*/10 * * * *', ({ scheduledFor }) => {
    after.push(scheduledFor.toISOString().slice(11, 16));
  });
  await world.advance(30 * MINUTE);
  t.deepEqual(after, []);
  const [warning] = world.runtime.logger.of('schedule.future');
  t.is(warning!.fields['key'], keys.last);
  world.cluster.delete(keys.last);
  await world.advance(10 * MINUTE);
  t.deepEqual(after, ['00:40']);
  t.is(jobs.length, 1);
  t.is(starts.length, 0);
  t.is(world.runtime.clock.now().wallMs > START, true);
  await close();
  await world.settle(right.coordinator.close());
});
