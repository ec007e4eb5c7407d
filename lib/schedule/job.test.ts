import test from 'ava';
import {
  ClosedError,
  CoordinationUnavailableError,
  JobPausedError,
  LeadershipLostError,
  LimitExceededError,
} from '../errors.ts';
import { Keyspace } from '../session/keyspace.ts';
import { StoreError } from '../store/store-error.ts';
import { VirtualWorld, type Process } from '../testing/virtual-world.ts';
import type { ScheduleOptions } from './job-options.ts';
import type { Job } from './job.ts';
import type { JobRecord } from './record.ts';
import type { Tick } from './tick.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const keys = new Keyspace('test').job('report');

/** A job on one or more processes, and what its work was called with. */
async function scene(
  { processes = 1, pattern = '0 * * * *', ...options }: ScheduleOptions & { processes?: number; pattern?: string } = {},
  work: (tick: Tick, by: number) => unknown = () => {},
) {
  const world = new VirtualWorld();
  const ticks: (Tick & { readonly by: number })[] = [];
  const all: (Process & { readonly job: Job })[] = [];
  for (let by = 0; by < processes; by += 1) {
    const process = await world.connect({ instanceId: `process ${by}` });
    const job = process.coordinator.schedule(
      'report',
      pattern,
      (tick) => {
        ticks.push(Object.assign(tick, { by }));
        return work(tick, by);
      },
      options,
    );
    all.push({ ...process, job });
    await world.advance(5 * SECOND);
  }
  const [first] = all;
  const history = (): Promise<readonly JobRecord[]> => world.settle(first!.job.history({ limit: 1_000 }));
  /** Oldest first: what became of what. */
  const outline = async (): Promise<string[]> =>
    (await history())
      .toReversed()
      .map((record) =>
        record.state === 'missed'
          ? `missed ${record.count}`
          : `${record.state} ${record.scheduledFor.toISOString().slice(11, 16)}${record.attempt > 1 ? ` #${record.attempt}` : ''}`,
      );
  const close = async (): Promise<void> => {
    await world.settle(Promise.all(all.map(({ coordinator }) => coordinator.close())));
  };
  return { world, all, first: first!, ticks, history, outline, close };
}

function untilTold({ signal }: Tick): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Nothing gets through to or from it; its lease ends. */
async function lose(world: VirtualWorld, { store }: Process): Promise<() => void> {
  const mend = store.faults.cutOff();
  await world.advance(7 * SECOND);
  return mend;
}

const lasting = (world: VirtualWorld, ms: number) => (): Promise<void> =>
  new Promise((resolve) => {
    world.runtime.clock.schedule(ms, resolve);
  });

test('one of three processes starts each tick, with a token that rises', async (t) => {
  const { world, ticks, outline, close } = await scene({ processes: 3 });
  await world.advance(3 * HOUR);
  t.deepEqual(await outline(), ['finished 01:00', 'finished 02:00', 'finished 03:00']);
  t.is(new Set(ticks.map(({ by }) => by)).size, 1);
  t.true(ticks[0]!.token < ticks[1]!.token && ticks[1]!.token < ticks[2]!.token);
  t.like(ticks[0], { job: 'report', attempt: 1, trigger: 'schedule', scheduledFor: new Date('2026-01-01T01:00:00Z') });
  await close();
});

test('processes that do not lead cost etcd nothing but their lease', async (t) => {
  const { world, all, close } = await scene({ processes: 2 });
  const calls: string[] = [];
  all[1]!.store.faults.onRequest((call) => {
    calls.push(call.method);
    return undefined;
  });
  await world.advance(50 * MINUTE);
  /* Renewals, and the audits that go with them. */
  const others = calls.filter((method) => !['renew', 'leaseKeys'].includes(method));
  const audits = calls.filter((method) => method === 'leaseKeys').length;
  t.true(others.length <= 3 * audits, `${others.length} calls beside ${audits} audits`);
  await close();
});

test('a job that nobody had before starts nothing for the time before it', async (t) => {
  const { ticks, close } = await scene({ pattern: '* * * * *', missed: 'all' });
  t.is(ticks.length, 0);
  await close();
});

for (const [missed, expected] of [
  ['last', ['finished 01:00', 'missed 2', 'finished 04:00', 'finished 05:00']],
  ['skip', ['finished 01:00', 'missed 3', 'finished 05:00']],
  ['all', ['finished 01:00', 'finished 02:00', 'finished 03:00', 'finished 04:00', 'finished 05:00']],
] as const) {
  test(`${missed}: after an outage from 01:30 to 04:30`, async (t) => {
    const { world, outline, close } = await scene({ missed });
    await world.advance(90 * MINUTE);
    world.cluster.stop();
    await world.advance(3 * HOUR);
    world.cluster.start();
    await world.advance(60 * MINUTE);
    t.deepEqual(await outline(), [...expected]);
    await close();
  });
}

test('the ticks of a time without a leader are the next leader’s', async (t) => {
  const { world, all, ticks, outline, close } = await scene({ processes: 2 });
  await world.advance(HOUR - 15 * SECOND);
  const mend = await lose(world, all[0]!);
  await world.advance(MINUTE);
  mend();
  t.deepEqual(
    ticks.map(({ by }) => by),
    [1],
  );
  t.deepEqual(await outline(), ['finished 01:00']);
  await close();
});

test('no tick is started while renewals fail, and at once when they are answered again', async (t) => {
  const { world, first, ticks, close } = await scene();
  await world.advance(HOUR - 7 * SECOND);
  const undo = first.store.faults.onRequest(({ method }) => (method === 'renew' ? 'refuse' : undefined));
  await world.advance(2_500);
  t.is(first.coordinator.health.state, 'suspended');
  t.is(ticks.length, 0);
  undo();
  await world.advance(1_500);
  t.is(first.coordinator.health.state, 'connected');
  t.is(ticks.length, 1);
  await close();
});

test('a claim that is answered when the leadership is over by the clock starts no work', async (t) => {
  const { world, first, ticks, outline, close } = await scene();
  let jumped = false;
  first.store.faults.onResponse((call) => {
    const isClaim =
      call.method === 'transact' && call.transaction.then.some((each) => each.type === 'put' && each.key === keys.last);
    if (!isClaim || jumped) return undefined;
    jumped = true;
    world.runtime.clock.jumpWall(MINUTE);
    return undefined;
  });
  await world.advance(HOUR);
  t.true(jumped);
  t.is(ticks.length, 0);
  await world.advance(5 * MINUTE);
  t.deepEqual(await outline(), ['abandoned 01:00']);
  await close();
});

for (const onLeaderLoss of ['abandon', 'retry'] as const) {
  test(`${onLeaderLoss}: a run whose leader was lost`, async (t) => {
    const { world, all, ticks, outline, close } = await scene({ processes: 2, onLeaderLoss }, async (tick, by) => {
      if (by === 0) await untilTold(tick);
    });
    await world.advance(HOUR);
    t.is(ticks.length, 1);
    const mend = await lose(world, all[0]!);
    t.true(ticks[0]!.signal.reason instanceof LeadershipLostError);
    await world.advance(MINUTE);
    mend();
    await world.advance(MINUTE);
    const expected = onLeaderLoss === 'retry' ? ['abandoned 01:00', 'finished 01:00 #2'] : ['abandoned 01:00'];
    t.deepEqual(await outline(), expected);
    if (onLeaderLoss === 'retry') {
      t.is(ticks[1]!.attempt, 2);
      t.true(ticks[1]!.token > ticks[0]!.token);
      t.deepEqual(ticks[1]!.scheduledFor, ticks[0]!.scheduledFor);
    }
    await close();
  });
}

for (const [how, end] of [
  [
    'its lease is revoked',
    async (world, { coordinator }) => world.cluster.revoke(BigInt(`0x${coordinator.session!.lease}`)),
  ],
  ['its coordinator closes', async (_, { coordinator }) => coordinator.close()],
  ['its job is stopped', async (_, { job }) => job.stop()],
] as readonly [string, (world: VirtualWorld, process: Process & { readonly job: Job }) => Promise<void>][]) {
  for (const onLeaderLoss of ['abandon', 'retry'] as const) {
    test(`${onLeaderLoss}: a run that is cut off when ${how}, by a leader that can still say so`, async (t) => {
      const { world, all, ticks, close } = await scene({ processes: 2, onLeaderLoss }, async (tick, by) => {
        if (by > 0) return;
        await untilTold(tick);
        throw new Error('cut off');
      });
      await world.advance(HOUR);
      await world.settle(end(world, all[0]!));
      await world.advance(MINUTE);
      const records = await world.settle(all[1]!.job.history());
      t.deepEqual(
        records.map((record) => record.state),
        onLeaderLoss === 'retry' ? ['finished', 'abandoned'] : ['abandoned'],
      );
      t.deepEqual(
        ticks.map(({ attempt, by }) => [attempt, by]),
        onLeaderLoss === 'retry'
          ? [
              [1, 0],
              [2, 1],
            ]
          : [[1, 0]],
      );
      await close();
    });
  }
}

test('a tick is retried so often and no more', async (t) => {
  const { world, all, outline, close } = await scene({ processes: 2, onLeaderLoss: 'retry', maxAttempts: 2 }, (tick) =>
    untilTold(tick),
  );
  await world.advance(HOUR);
  for (const index of [0, 1]) {
    const mend = await lose(world, all[index]!);
    mend();
    await world.advance(MINUTE);
  }
  t.deepEqual(await outline(), ['abandoned 01:00', 'abandoned 01:00 #2']);
  await close();
});

test('a run that ended while its leader had no contact is recorded as it ended, if nobody came between', async (t) => {
  const { world, first, ticks, outline, close } = await scene({ onLeaderLoss: 'retry' }, (tick) => untilTold(tick));
  await world.advance(HOUR);
  const mend = await lose(world, first);
  await world.advance(MINUTE);
  mend();
  await world.advance(MINUTE);
  t.is(ticks.length, 1);
  t.deepEqual(await outline(), ['finished 01:00']);
  await close();
});

test('a failed run is recorded with its error and how long it took, and is not tried again', async (t) => {
  const { world, history, ticks, close } = await scene({ onLeaderLoss: 'retry' }, async () => {
    throw new RangeError('no paper');
  });
  await world.advance(HOUR + MINUTE);
  t.is(ticks.length, 1);
  t.like((await history())[0], {
    state: 'failed',
    error: 'RangeError: no paper',
    durationMs: 0,
    instanceId: 'process 0',
  });
  await close();
});

test('a run that throws what cannot be made text is recorded as failed, and ends nothing else', async (t) => {
  const { world, outline, history, close } = await scene({}, () => {
    throw Object.create(null);
  });
  await world.advance(2 * HOUR);
  t.deepEqual(await outline(), ['failed 01:00', 'failed 02:00']);
  t.like((await history())[0], { error: 'something was thrown of which no text can be made' });
  await close();
});

test('a run that takes too long is told, waited for, and recorded as failed whatever it returns', async (t) => {
  const { world, history, ticks, close } = await scene(
    { pattern: '* * * * *', maxRunMs: 10 * SECOND, missed: 'skip' },
    async (tick) => {
      await untilTold(tick);
      await lasting(world, 3 * SECOND)();
    },
  );
  await world.advance(MINUTE + 4 * SECOND);
  t.false(ticks[0]!.signal.aborted);
  await world.advance(2 * SECOND);
  t.true(ticks[0]!.signal.reason instanceof LimitExceededError);
  t.like((await history())[0], { state: 'started' });
  await world.advance(5 * SECOND);
  t.like((await history())[0], { state: 'failed', durationMs: 13 * SECOND });
  await close();
});

test('a job does not overlap with itself; what comes meanwhile is dealt with at its end', async (t) => {
  let running = 0;
  let most = 0;
  const { world, outline, close } = await scene({ pattern: '* * * * *' }, async () => {
    most = Math.max(most, (running += 1));
    await lasting(world, 150 * SECOND)();
    running -= 1;
  });
  await world.advance(7 * MINUTE + 50 * SECOND);
  t.is(most, 1);
  t.deepEqual((await outline()).slice(0, 4), ['finished 00:01', 'missed 1', 'finished 00:03', 'missed 2']);
  await world.advance(5 * MINUTE);
  await close();
});

test('where it may overlap, ticks start on time', async (t) => {
  let most = 0;
  let running = 0;
  const { world, ticks, close } = await scene({ pattern: '* * * * *', overlap: true }, async () => {
    most = Math.max(most, (running += 1));
    await lasting(world, 150 * SECOND)();
    running -= 1;
  });
  await world.advance(6 * MINUTE);
  t.is(most, 3);
  t.is(ticks.length, 6);
  await close();
});

test('a job runs when it is asked for, beside its schedule and once for all who ask', async (t) => {
  const { world, all, ticks, history, close } = await scene({ processes: 2 });
  const asked = await world.settle(Promise.all(all.map(({ job }) => job.trigger())));
  t.deepEqual(asked[0], asked[1]);
  await world.advance(SECOND);
  t.is(ticks.length, 1);
  t.like(ticks[0], { trigger: 'manual', scheduledFor: asked[0]! });
  t.not(asked[0]!.getTime() % 1_000, 0);
  await world.advance(HOUR);
  t.deepEqual(
    (await history()).map((record) => record.state !== 'missed' && record.trigger),
    ['schedule', 'manual'],
  );
  await close();
});

test('a request waits for the run that goes on', async (t) => {
  const { world, first, ticks, close } = await scene({}, () => lasting(world, MINUTE)());
  await world.advance(HOUR);
  t.is(ticks.length, 1);
  await world.settle(first.job.trigger());
  await world.advance(30 * SECOND);
  t.is(ticks.length, 1);
  t.deepEqual((await world.settle(first.job.status())).requested !== undefined, true);
  await world.advance(30 * SECOND);
  t.is(ticks.length, 2);
  await world.advance(2 * MINUTE);
  await close();
});

test('a paused job starts nothing, by schedule or by hand, whoever paused it; resumed, the policy decides', async (t) => {
  const { world, all, ticks, outline, close } = await scene({ processes: 2 });
  await world.settle(all[1]!.job.pause());
  await world.settle(all[1]!.job.pause());
  t.like(await world.settle(all[0]!.job.status()), { paused: { by: 'process 1' } });
  await world.advance(2 * HOUR + MINUTE);
  t.is(ticks.length, 0);
  await t.throwsAsync(world.settle(all[0]!.job.trigger()), { instanceOf: JobPausedError });
  await world.settle(all[0]!.job.resume());
  await world.settle(all[0]!.job.resume());
  await world.advance(SECOND);
  t.deepEqual(await outline(), ['missed 1', 'finished 02:00']);
  t.is((await world.settle(all[0]!.job.status())).paused, undefined);
  await close();
});

test('the controls are refused at once while there is no contact', async (t) => {
  const { world, first, close } = await scene();
  const mend = await lose(world, first);
  const { clock } = world.runtime;
  const before = clock.elapsedMs;
  for (const act of ['trigger', 'pause', 'resume'] as const) {
    await t.throwsAsync(world.settle<unknown>(first.job[act]()), { instanceOf: CoordinationUnavailableError });
  }
  t.is(clock.elapsedMs, before);
  await t.throwsAsync(world.settle(first.job.history()), { instanceOf: CoordinationUnavailableError });
  t.deepEqual(first.job.next(), new Date('2026-01-01T01:00:00Z'));
  mend();
  await close();
});

test('stopping waits for the run, records it, and leaves the job to others', async (t) => {
  const { world, all, ticks, outline, close } = await scene({ processes: 2 }, async (tick, by) => {
    if (by > 0) return;
    await untilTold(tick);
    await lasting(world, 3 * SECOND)();
  });
  await world.advance(HOUR);
  const begun = world.runtime.clock.elapsedMs;
  await world.settle(all[0]!.job.stop());
  t.is(world.runtime.clock.elapsedMs - begun, 3 * SECOND);
  t.true(ticks[0]!.signal.reason instanceof ClosedError);
  t.deepEqual(await outline(), ['finished 01:00']);
  await world.settle(all[0]!.job.stop());
  await world.advance(HOUR);
  t.deepEqual(
    ticks.map(({ by }) => by),
    [0, 1],
  );
  await t.throwsAsync(all[0]!.job.trigger(), { instanceOf: ClosedError });
  t.notThrows(() => all[0]!.coordinator.schedule('report', '0 * * * *', () => {}), 'its name is free again');
  await close();
});

test('a run that does not end in time keeps its leadership, and stopping resolves', async (t) => {
  const { world, all, ticks } = await scene({ processes: 2 }, (_, by) =>
    by === 0 ? new Promise(() => {}) : undefined,
  );
  await world.advance(HOUR);
  await world.settle(all[0]!.job.stop({ drainMs: 2 * SECOND }));
  t.is(world.runtime.logger.of('schedule.undrained').length, 1);
  await world.advance(2 * HOUR);
  t.deepEqual(
    ticks.map(({ by }) => by),
    [0],
    'nobody else starts it while the other one runs',
  );
});

test('whoever has less patience ends the waiting, also of a stop that was called before', async (t) => {
  const { world, first, ticks } = await scene({}, () => new Promise(() => {}));
  await world.advance(HOUR);
  t.is(ticks.length, 1);
  const stopping = first.job.stop({ drainMs: HOUR });
  await world.advance(10);
  await world.settle(first.coordinator.close({ drainMs: SECOND }), 3 * SECOND);
  await world.settle(stopping, 10);
  t.is(world.runtime.logger.of('schedule.undrained').length, 1);
});

test('closing the coordinator waits for the run and leaves neither timer nor key', async (t) => {
  const { world, first, ticks } = await scene({}, async (tick) => {
    await untilTold(tick);
    await lasting(world, 3 * SECOND)();
  });
  await world.advance(HOUR);
  const before = world.runtime.clock.elapsedMs;
  await world.settle(first.coordinator.close());
  t.is(world.runtime.clock.elapsedMs - before, 3 * SECOND);
  t.true(ticks[0]!.signal.reason instanceof ClosedError);
  t.is(world.runtime.clock.pendingTimers, 0);
  t.deepEqual(
    world.cluster.entries('test/').map(({ key }) => key.replace(/\d{13}/, '…')),
    ['test/clock/question', keys.history + '…-1', keys.last],
  );
  t.regex(world.cluster.entries(keys.history)[0]!.value, /"state":"finished"/);
});

test('a job of a coordinator that never had contact closes at once', async (t) => {
  const world = new VirtualWorld();
  world.cluster.stop();
  const { coordinator } = world.start();
  const job = coordinator.schedule('report', '* * * * *', () => t.fail());
  await world.advance(10 * MINUTE);
  await world.settle(job.stop());
  await world.settle(coordinator.close());
  t.is(world.runtime.clock.pendingTimers, 0);
});

test('a permission that is missing is told, and does not end the job', async (t) => {
  const { world, first, ticks, close } = await scene({ pattern: '* * * * *' });
  const denied = new StoreError('denied', 'permanent', 'permission denied');
  const undo = first.store.faults.onRequest((call) =>
    call.method === 'transact' && call.transaction.then.some((each) => 'key' in each && each.key === keys.last)
      ? { refuseWith: denied }
      : undefined,
  );
  await world.advance(3 * MINUTE);
  t.is(ticks.length, 0);
  t.true(world.runtime.logger.of('schedule.refused').length > 0);
  undo();
  await world.advance(MINUTE);
  t.true(ticks.length > 0);
  await close();
});

test('an etcd without space is told, and ticks go on within seconds of its having space again', async (t) => {
  const { world, ticks, close } = await scene({ pattern: '* * * * * *' });
  world.cluster.exceedQuota();
  await world.advance(MINUTE);
  const before = ticks.length;
  t.true(world.runtime.logger.of('schedule.refused').length > 0);
  world.cluster.disarmQuota();
  await world.advance(6 * SECOND);
  t.true(ticks.length > before);
  await close();
});

test('a changed pattern starts nothing that was due before the change, and records what the old one missed', async (t) => {
  const { world, first, outline, close } = await scene();
  await world.advance(HOUR);
  await world.settle(first.job.stop());
  await world.advance(2 * HOUR + 10 * MINUTE);
  const other = first.coordinator.schedule('report', '*/20 * * * *', () => {});
  await world.advance(SECOND * 5);
  t.deepEqual(await outline(), ['finished 01:00', 'missed 2']);
  await world.advance(10 * MINUTE);
  t.deepEqual(await outline(), ['finished 01:00', 'missed 2', 'finished 03:20']);
  await world.settle(other.stop());
  await close();
});

test('what cannot be read stands still, loudly, until it is deleted', async (t) => {
  const { world, ticks, close } = await scene();
  world.cluster.put(keys.last, 'by hand');
  await world.advance(2 * HOUR);
  t.is(ticks.length, 0);
  t.is(world.runtime.logger.of('schedule.unreadable').length, 1);
  world.cluster.delete(keys.last);
  await world.advance(HOUR);
  t.is(ticks.length, 1);
  await close();
});

test('a job set back by hand starts no tick again that has a record', async (t) => {
  const { world, ticks, outline, close } = await scene({ missed: 'all' });
  await world.advance(2 * HOUR);
  const settled = JSON.parse(world.cluster.get(keys.last)!.value) as object;
  world.cluster.put(keys.last, JSON.stringify({ ...settled, atMs: Date.UTC(2026, 0, 1) }));
  await world.advance(HOUR);
  t.is(ticks.length, 3);
  t.deepEqual(await outline(), ['finished 01:00', 'finished 02:00', 'finished 03:00']);
  await close();
});

const wrong: readonly [options: object, message: RegExp][] = [
  [{ missed: 'never' }, /missed.*"never"/],
  [{ onLeaderLoss: 'panic' }, /onLeaderLoss/],
  [{ maxAttempts: 2 }, /maxAttempts/],
  [{ onLeaderLoss: 'retry', maxAttempts: 0 }, /maxAttempts/],
  [{ maxRunMs: 0 }, /maxRunMs/],
  [{ overlap: 'yes' }, /overlap/],
  [{ historyLimit: 5 }, /historyLimit/],
  [{ maxClockSkewMs: Number.NaN }, /maxClockSkewMs/],
  [{ timezone: 'Berlin' }, /timezone/],
  [{ timeZone: 'Europe/Berlin' }, /timeZone/],
];
for (const [options, message] of wrong) {
  test(`${JSON.stringify(options)} is refused by name`, (t) => {
    const { coordinator } = new VirtualWorld().start();
    t.throws(() => coordinator.schedule('report', '0 * * * *', () => {}, options), { message });
  });
}

test('a name is taken once in a coordinator, and work is a function', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = world.start();
  coordinator.schedule('report', '0 * * * *', () => {});
  t.throws(() => coordinator.schedule('report', '0 * * * *', () => {}), { instanceOf: TypeError, message: /"report"/ });
  t.throws(() => coordinator.schedule('other', '0 * * * *', 7 as never), { instanceOf: TypeError, message: /work/ });
  t.throws(() => coordinator.schedule('', '0 * * * *', () => {}), { instanceOf: TypeError });
  await world.settle(coordinator.close());
  t.throws(() => coordinator.schedule('late', '0 * * * *', () => {}), { instanceOf: ClosedError });
});
