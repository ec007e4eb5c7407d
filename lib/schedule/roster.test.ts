import test from 'ava';
import { JobPausedError } from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';

test('any process lists the jobs of the namespace and controls them, and takes no part in them by it', async (t) => {
  const world = new VirtualWorld();
  const ticks: Date[] = [];
  const worker = await world.connect({ instanceId: 'worker' });
  const names = ['report', 'a/b', ...Array.from({ length: 50 }, (_, index) => `job ${String(index).padStart(2, '0')}`)];
  for (const name of names) {
    worker.coordinator.schedule(name, '0 3 * * *', ({ scheduledFor }) => void ticks.push(scheduledFor));
  }
  const standby = await world.connect({ instanceId: 'standby' });
  standby.coordinator.schedule('report', '0 3 * * *', () => {});
  await world.advance(10_000);

  const operator = await world.connect({ instanceId: 'operator' });
  const report = operator.coordinator.jobControls('report');
  await world.settle(operator.coordinator.jobControls('a/b').pause());
  const at = await world.settle(report.trigger());
  await world.advance(2_000);
  t.deepEqual(ticks, [at]);
  t.like(await world.settle(report.history()), [{ state: 'finished', trigger: 'manual', instanceId: 'worker' }]);

  const reports = await world.settle(operator.coordinator.jobs());
  t.deepEqual(
    reports.map(({ name }) => name),
    names.toSorted(),
  );
  const find = (name: string) => reports.find((each) => each.name === name);
  t.like(find('report'), { leader: 'worker', candidates: 2, paused: undefined, requested: undefined });
  t.like(find('a/b'), { leader: 'worker', candidates: 1, paused: { by: 'operator' } });
  t.true(reports.every(({ settledUntil }) => settledUntil !== undefined));

  await world.settle(Promise.all([worker, standby].map(({ coordinator }) => coordinator.close())));
  const left = await world.settle(operator.coordinator.jobs());
  t.is(left.length, names.length);
  t.true(left.every(({ leader, candidates }) => leader === undefined && candidates === 0));
  await world.settle(operator.coordinator.close());
});

test('a job that is paused is not triggered by anybody', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  const controls = coordinator.jobControls('report');
  await world.settle(controls.pause());
  await t.throwsAsync(world.settle(controls.trigger()), { instanceOf: JobPausedError });
  await world.settle(controls.resume());
  t.deepEqual(await world.settle(controls.status()), {
    paused: undefined,
    settledUntil: undefined,
    requested: undefined,
  });
  await world.settle(coordinator.close());
});
