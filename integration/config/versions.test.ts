import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createCoordinator, VersionConflictError, type Coordinator } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { RecordingLogger } from '../../lib/testing/recording-logger.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

interface Counter {
  readonly count: number;
}

const connect = (endpoint: string, instanceId: string, timeoutMs = 2_000): Coordinator =>
  createCoordinator({
    endpoints: endpoint,
    namespace: 'test',
    instanceId,
    ...accessTo(),
    request: { timeoutMs, deadlineMs: 10_000 },
  });

const descending = (newest: number): number[] => Array.from({ length: newest }, (_, index) => newest - index);

for (const version of ['3.4', '3.5.30'] as const) {
  test(`etcd ${version}: two processes that race leave versions 1 to N, without a gap or a repetition`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using one = connect(server.endpoint, 'one');
    await using two = connect(server.endpoint, 'two');
    const both = [one.config<Counter>('counter'), two.config<Counter>('counter')] as const;
    await Promise.all(both.map((config) => config.ready()));

    /* Of a pair that expects the same version one wins; without an expectation both do. */
    let written = 0;
    for (let round = 0; round < 10; round += 1) {
      const ifVersion = written === 0 ? 0 : (await both[0].history({ limit: 1 }))[0]!.version;
      const raced = await Promise.allSettled(both.map((config) => config.set({ count: 0 }, { ifVersion })));
      t.deepEqual(raced.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
      for (const each of raced) if (each.status === 'rejected') t.true(each.reason instanceof VersionConflictError);
      const plain = await Promise.all(both.map((config) => config.set({ count: 0 })));
      t.is(new Set(plain.map((entry) => entry.version)).size, 2);
      written += 3;
    }
    t.deepEqual(
      (await both[1].history({ limit: 100 })).map((past) => past.version),
      descending(written),
    );

    const seen: number[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const entry of both[0].watch({ signal: stop.signal })) seen.push(entry?.version ?? 0);
    })();
    const increments = both.map(async (config) => {
      for (let done = 0; done < 15; done += 1) await config.update((current) => ({ count: (current?.count ?? 0) + 1 }));
    });
    await Promise.all(increments);
    const history = await both[0].history({ limit: 100 });
    t.deepEqual(
      history.map((past) => past.version),
      descending(written + 30),
    );
    t.deepEqual(
      history.slice(0, 30).map(({ value }) => (value as unknown as Counter).count),
      descending(30),
      'an update was lost, or made twice',
    );
    stop.abort(new Error('seen enough'));
    await t.throwsAsync(watching, { message: 'seen enough' });
    t.deepEqual(
      seen,
      [...new Set(seen)].toSorted((a, b) => a - b),
      'a reader saw versions out of order',
    );
  });

  test(`etcd ${version}: a set whose answer is lost recognises its own success, and is never made twice`, async (t) => {
    const random = new SeededRandom(3);
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using coordinator = connect(proxy.endpoint, 'one', 400);
    const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    t.teardown(() => store.close());
    const config = coordinator.config<Counter>('counter');
    await config.ready();
    const isApplied = async (version: number): Promise<boolean> => {
      const key = `test/config-history/counter/${String(version).padStart(10, '0')}`;
      return (await store.range({ key }, { timeoutMs: 5_000 })).count > 0;
    };

    let lost = 0;
    let written = 0;
    while (lost < 5) {
      const version = (written += 1);
      const setting = config.set({ count: version }, random.chance(0.5) ? { ifVersion: version - 1 } : {});
      /* From some moment on no answer comes: to the reading before the write, or to the write. */
      for (let turns = random.integer(0, 4); turns > 0; turns -= 1)
        await store.range({ key: 'test/nothing' }, { timeoutMs: 5_000 });
      proxy.dropResponses();
      for (let polls = 0; polls < 50; polls += 1) {
        if (!(await isApplied(version))) continue;
        if (config.get()?.version !== version) lost += 1;
        break;
      }
      /* What is held back is lost for good, or comes late, perhaps when it has been given up already. */
      const fate = random.pick(['lost', 'late', 'very late'] as const);
      if (fate === 'lost') proxy.cut();
      if (fate === 'very late') await sleep(500);
      proxy.heal();
      t.is((await setting).version, version);
      t.is(config.get()?.version, version);
    }
    t.log(`${lost} of ${written} answers were lost after the write had been applied`);
    const { entries } = await store.range({ prefix: 'test/config-history/' }, { timeoutMs: 5_000 });
    t.is(entries.length, Math.min(written, 100));
    t.true(
      entries.every((entry) => entry.version === 1n),
      'a version was written twice',
    );
  });

  test(`etcd ${version}: versions go on after a delete, and what somebody puts by hand never replaces a good one`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const logger = new RecordingLogger();
    let refused = 0;
    await using one = createCoordinator({ endpoints: server.endpoint, namespace: 'test', logger, ...accessTo() });
    await using two = connect(server.endpoint, 'two');
    const [config, other] = [one.config<Counter>('counter'), two.config<Counter>('counter')];
    await Promise.all([config.ready(), other.ready()]);
    await config.set({ count: 1 });
    await config.delete({ ifVersion: 1 });
    t.is(config.get(), undefined);
    t.is((await other.set({ count: 2 }, { ifVersion: 0 })).version, 2);
    await t.throwsAsync(config.set({ count: 3 }, { ifVersion: 1 }), { instanceOf: VersionConflictError });

    const key = 'test/config/counter';
    for (const text of ['not json', '{"version":3}', '7', '{"version":"3","value":{}}', '[]']) {
      await server.etcdctl(['put', key, text]);
      while (logger.of('config.refused').length === refused) await config.history();
      refused = logger.of('config.refused').length;
      t.deepEqual([config.get()?.version, config.get()?.value], [2, { count: 2 }], text);
    }
    /* Nor does it keep a good one from coming. */
    t.is((await config.set({ count: 3 })).version, 3);
    await config.rollback(1);
    t.deepEqual([config.get()?.version, config.get()?.value], [4, { count: 1 }]);
  });

  test(`etcd ${version}: a rollout tells which instance has applied and which has refused a version`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using one = connect(server.endpoint, 'one');
    await using two = connect(server.endpoint, 'two');
    const [config, other] = [one.config<Counter>('counter'), two.config<Counter>('counter')];
    await Promise.all([config.ready(), other.ready()]);
    const reported = async (expected: Record<string, number>): Promise<void> => {
      for (;;) {
        const reports = await config.rollout();
        const names = Object.keys(expected);
        const isExpected = reports.every((each) => expected[each.instanceId] === each.applied);
        if (isExpected && reports.length === names.length) return;
      }
    };
    await config.set({ count: 1 });
    await reported({ one: 1, two: 1 });
    await config.set({ count: 2 });
    await reported({ one: 2, two: 2 });
    await server.etcdctl(['put', 'test/config/counter', '{"version":3,"by":"hand"}']);
    for (;;) {
      const reports = await other.rollout();
      if (reports.length === 2 && reports.every(({ refused }) => refused !== undefined)) break;
    }
    await reported({ one: 2, two: 2 });
    await two.close();
    await reported({ one: 2 });
    t.pass();
  });
}
