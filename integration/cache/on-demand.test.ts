import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { Questions } from '../../lib/replica/questions.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { putting } from '../store/probe.ts';

const patient = { timeoutMs: 10_000 };
const request = { deadlineMs: 30_000 };

async function watchersAt(server: EtcdServer): Promise<number> {
  return (await server.metrics()).get('etcd_debugging_mvcc_watcher_total') ?? 0;
}

/** Ranges and transactions: what a proof can travel in. */
async function readsAt(server: EtcdServer): Promise<number> {
  const rpcs = await server.startedRpcs();
  return (rpcs.get('Range') ?? 0) + (rpcs.get('Txn') ?? 0);
}

/** Asks the server until it says so; the test's own timeout ends what never comes. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}

const keys = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `u${index}`);

for (const version of ['3.4', '3.5.30'] as const) {
  test(`etcd ${version}: what is evicted is not watched any more, and closing leaves no watch`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using coordinator = createCoordinator({
      endpoints: server.endpoint,
      namespace: 'test',
      ...accessTo(),
      request,
    });
    await coordinator.ready();
    const cache = coordinator.cache('users/', { keys: 'on-demand', max: 10 });
    await until(async () => (await watchersAt(server)) === 1);
    for (const key of keys(10)) await cache.read(key);
    await until(async () => (await watchersAt(server)) === 11);
    for (const key of keys(40)) await cache.read(key);
    t.is(cache.stats().evictions, 30);
    await until(async () => (await watchersAt(server)) === 11);
    await Promise.all(keys(100).map((key) => cache.read(key)));
    await until(async () => (await watchersAt(server)) === 11);
    await cache.close();
    await until(async () => (await watchersAt(server)) === 1);
    t.is(cache.stats().entries, 10);
  });

  test(`etcd ${version}: reads follow what another process writes, absence included, over a restart of etcd`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const connect = () => createCoordinator({ endpoints: server.endpoint, namespace: 'test', ...accessTo(), request });
    await using reader = connect();
    await using writer = connect();
    const cache = reader.cache('users/', { keys: 'on-demand' });
    const other = writer.cache('users/', { keys: 'on-demand' });
    await Promise.all([cache, other].flatMap((each) => keys(50).map((key) => each.read(key))));
    const watcher = cache.watch();
    for (const round of ['1', '2']) {
      await other.put('u7', round);
      t.is(other.get('u7')?.value, round);
      const { value } = await watcher.next();
      t.deepEqual([value?.type, value?.key, cache.get('u7')?.value], ['put', 'u7', round]);
      if (round === '1') await server.restart({ signal: 'SIGKILL' });
    }
    await other.delete('u7');
    t.is((await watcher.next()).value?.type, 'delete');
    t.is(cache.get('u7'), undefined);
    t.is(cache.stats().entries, 50);
    await other.put('u8', 'x');
    t.is((await cache.read('u8', { consistency: 'linearizable' }))?.value, 'x');
  });

  test.serial(`etcd ${version}: the freshness of 2,000 keys is a few calls`, async (t) => {
    const freshnessMs = 2_000;
    const intervals = 3;
    await using server = await EtcdServer.start({ version });
    await using coordinator = createCoordinator({
      endpoints: server.endpoint,
      namespace: 'test',
      ...accessTo(),
      session: { ttlMs: 600_000 },
      request,
    });
    const cache = coordinator.cache('users/', { keys: 'on-demand', freshnessMs });
    await Promise.all(keys(2_000).map((key) => cache.read(key)));
    await until(async () => (await watchersAt(server)) === 2_001);
    await sleep(freshnessMs);

    const begun = await readsAt(server);
    const startedAt = performance.now();
    await sleep(intervals * freshnessMs);
    const calls = (await readsAt(server)) - begun;
    const passed = (performance.now() - startedAt) / freshnessMs;
    /* A call for each fiftieth of the interval and for each hundred keys, at most; jitter makes an interval a tenth shorter. */
    t.true(calls <= ((50 + 20) / 0.9) * passed + 5, `${calls} calls in ${passed} intervals`);
    await until(() => cache.stats().ageMs < 2 * freshnessMs);
    t.is(cache.stats().resyncs, 0);
    t.log({ keys: 2_000, 'calls per freshnessMs': Math.round(calls / passed) });
  });

  test(`etcd ${version}: a group's answers bear the revision of their transaction, and see what was written before`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const runtime = systemRuntime();
    const store = createEtcdStore(runtime, { endpoints: [server.endpoint], ...accessTo() });
    t.teardown(() => store.close());
    const questions = new Questions(runtime, store);
    for (let round = 0; round < 20; round += 1) {
      const written = await store.transact(putting('test/k3', String(round)), patient);
      const answers = await Promise.all(
        keys(5).map((key) =>
          questions.ask({ key: `test/${key === 'u3' ? 'k3' : key}` }, { ...patient, patienceMs: 1 }),
        ),
      );
      t.deepEqual(new Set(answers.map(({ revision }) => revision)), new Set([written.revision]));
      t.deepEqual(
        answers.map(({ count, entries }) => [count, entries[0]?.value, entries[0]?.modRevision]),
        keys(5).map((key) => (key === 'u3' ? [1, String(round), written.revision] : [0, undefined, undefined])),
      );
    }
    t.is((await server.startedRpcs()).get('Txn'), 40);
  });
}
