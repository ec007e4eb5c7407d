import test from 'ava';
import { ClosedError, CoordinationUnavailableError } from '../errors.ts';
import { VirtualWorld } from '../testing/virtual-world.ts';

test('a survey tells who is there, who holds what and who waits, who leads, and how far configs have come', async (t) => {
  const world = new VirtualWorld();
  const one = (await world.connect({ instanceId: 'one' })).coordinator;
  const two = (await world.connect({ instanceId: 'two' })).coordinator;
  const held = await world.settle(one.lock('a/b').acquire());
  const waiting = two.lock('a/b').acquire();
  waiting.catch(() => {});
  await world.settle(two.election('reporter').campaign({ value: 'http://two' }));
  const permit = await world.settle(one.semaphore('gpu', { permits: 2 }).acquire());
  const readers = [
    await world.settle(one.readWriteLock('catalogue').read().acquire()),
    await world.settle(two.readWriteLock('catalogue').read().acquire()),
  ];
  const writer = one.readWriteLock('catalogue').write().acquire();
  writer.catch(() => {});
  const config = one.config('limits');
  await world.settle(config.ready());
  await world.settle(config.set({ max: 1 }));
  world.cluster.put('test/config-history/limits/note', 'put there by somebody else');
  await world.settle(one.registry('payments').register({ address: 'http://one' }).registered());
  two
    .partitions('orders', { count: 2 })
    .own(() => new Promise(() => {}))
    .catch(() => {});
  await world.settle(one.once('provision', () => 1));
  await world.advance(2_000);

  const survey = await world.settle(two.survey());
  t.is(survey.revision, world.cluster.revision);
  t.is(survey.epoch, 0);
  t.deepEqual(survey.sessions.map(({ instanceId }) => String(instanceId)).toSorted(), ['one', 'two']);
  const queue = (kind: string, name: string) => survey.queues.find((each) => each.kind === kind && each.name === name);
  t.like(queue('lock', 'a/b'), {
    holders: [{ instanceId: 'one', token: held.token }],
    waiters: [{ instanceId: 'two' }],
  });
  t.true(queue('lock', 'a/b')?.holders[0]?.askedAt instanceof Date);
  t.like(queue('election', 'reporter'), { value: 'http://two', holders: [{ instanceId: 'two' }], waiters: [] });
  t.like(queue('semaphore', 'gpu'), { holders: [{ instanceId: 'one', slot: permit.slot, token: permit.token }] });
  t.deepEqual(
    queue('rwlock', 'catalogue')
      ?.holders.map(({ token }) => String(token))
      .toSorted(),
    readers.map(({ token }) => String(token)).toSorted(),
  );
  t.is(queue('rwlock', 'catalogue')?.waiters.length, 1);
  t.like(queue('partition', 'orders/1'), { holders: [{ instanceId: 'two' }] });
  t.is(queue('once-turn', 'provision'), undefined);
  t.like(
    survey.registries.find(({ kind }) => kind === 'registry'),
    { name: 'payments', members: [{ address: 'http://one' }] },
  );
  t.like(survey.configs[0], { name: 'limits', version: 1, reports: [{ instanceId: 'one', applied: 1 }] });
  t.true(JSON.stringify(survey).includes(`"token":"${held.token}"`));
});

test('a survey is one transaction, and says when it could not be had', async (t) => {
  const world = new VirtualWorld();
  const { coordinator, store } = await world.connect();
  const calls: string[] = [];
  store.faults.onRequest(({ method }) => {
    calls.push(method);
    return undefined;
  });
  const survey = await world.settle(coordinator.survey());
  t.deepEqual(calls, ['transact']);
  t.deepEqual(survey.queues, []);
  t.deepEqual(survey.incomplete, []);
  world.cluster.stop();
  await t.throwsAsync(world.settle(coordinator.survey()), { instanceOf: CoordinationUnavailableError });
  world.cluster.start();
  await world.settle(coordinator.close());
  await t.throwsAsync(coordinator.survey(), { instanceOf: ClosedError });
});

test('a namespace of more keys than anybody can look at says that it is not all', async (t) => {
  const world = new VirtualWorld();
  const { coordinator } = await world.connect();
  for (let index = 0; index <= 10_000; index += 1) world.cluster.put(`test/registry/big/${index}`, '{}');
  const survey = await world.settle(coordinator.survey());
  t.deepEqual(survey.incomplete, ['registry']);
});
