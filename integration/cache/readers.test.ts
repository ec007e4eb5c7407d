import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { putting } from '../store/probe.ts';

const patient = { timeoutMs: 10_000 };
const readers = 1_000;

async function watchesAt(server: EtcdServer): Promise<{ readonly streams: number; readonly watches: number }> {
  const metrics = await server.metrics();
  return {
    streams: (await server.startedRpcs()).get('Watch') ?? 0,
    watches: metrics.get('etcd_debugging_mvcc_watcher_total') ?? 0,
  };
}

async function rangesAt(server: EtcdServer): Promise<number> {
  return (await server.startedRpcs()).get('Range') ?? 0;
}

for (const version of ['3.4', '3.5.30'] as const) {
  test(`etcd ${version}: 1,000 caches and 1,000 watchers of a prefix are one watch on one stream, and all are told of a write`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    t.teardown(() => store.close());
    await using coordinator = createCoordinator({ endpoints: server.endpoint, namespace: 'test', ...accessTo() });
    await coordinator.ready();
    const caches = Array.from({ length: readers }, () => coordinator.cache('r/'));
    await Promise.all(caches.map((cache) => cache.ready()));
    const watchers = caches.map((cache) => cache.watch());
    const told = watchers.map((watcher) => watcher.next());
    const { revision } = await store.transact(putting('test/cache/r/a', '1'), patient);
    const startedAt = performance.now();
    for (const each of await Promise.all(told)) {
      t.deepEqual([each.value?.type, each.value?.key, each.value?.revision], ['put', 'a', revision]);
    }
    const tookMs = performance.now() - startedAt;
    t.true(caches.every((cache) => cache.get('a')?.value === '1'));

    /* One for the prefix, and the session's own. */
    const after = await watchesAt(server);
    t.is(after.streams, 1);
    t.true(after.watches <= 2, `${after.watches} watches`);
    t.log({ ...after, 'told all within ms of the answer to the write': Math.round(tookMs) });
  });

  test(`etcd ${version}: freshness costs one range per freshnessMs and prefix, whatever the number of readers`, async (t) => {
    const freshnessMs = 250;
    const prefixes = 3;
    const rounds = 8;
    await using server = await EtcdServer.start({ version });
    await using coordinator = createCoordinator({ endpoints: server.endpoint, namespace: 'test', ...accessTo() });
    const caches = Array.from({ length: readers }, (_, index) =>
      coordinator.cache(`r${index % prefixes}/`, { freshnessMs }),
    );
    await Promise.all([coordinator.ready(), ...caches.map((cache) => cache.ready())]);

    const startedAt = performance.now();
    const begun = await rangesAt(server);
    let reads = 0;
    let ranges = 0;
    while (ranges < rounds * prefixes) {
      for (const cache of caches) cache.get('a');
      reads += caches.length;
      ranges = (await rangesAt(server)) - begun;
    }
    const intervals = (performance.now() - startedAt) / freshnessMs;
    const perInterval = ranges / prefixes / intervals;
    /* Jitter makes an interval a tenth shorter at most, and each prefix may be caught just before its next range. */
    t.true(ranges <= prefixes * (intervals / 0.9 + 1), `${ranges} ranges in ${intervals} intervals`);
    t.true(caches.every((cache) => cache.stats().ageMs < Number.POSITIVE_INFINITY));
    t.log({ readers, reads, 'ranges per prefix and freshnessMs': Number(perInterval.toFixed(2)) });
  });

  test(`etcd ${version}: a prefix that is written all the time is read linearizably, own writes at once, and lost answers once`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    t.teardown(() => store.close());
    await using coordinator = createCoordinator({
      endpoints: proxy.endpoint,
      namespace: 'test',
      ...accessTo(),
      request: { timeoutMs: 500, deadlineMs: 10_000 },
    });
    const cache = coordinator.cache('r/');
    await cache.ready();
    let written = 0;
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const writing = (async () => {
      while (!stop.signal.aborted) await store.transact(putting('test/cache/r/hot', String((written += 1))), patient);
    })();

    for (let round = 0; round < 10; round += 1) {
      const before = written - 1;
      const read = await cache.read('hot', { consistency: 'linearizable' });
      t.true(Number(read?.value ?? 0) >= before, `${read?.value} after ${before}`);
      await cache.put('own', String(round));
      t.is(cache.get('own')?.value, String(round));
    }
    stop.abort();
    await writing;

    for (let round = 1; round <= 5; round += 1) {
      const putting = cache.put('once', String(round));
      await store.range({ key: 'test/nothing' }, patient);
      proxy.dropResponses();
      for (let polls = 0; polls < 20; polls += 1) await store.range({ key: 'test/nothing' }, patient);
      if (round % 2 === 0) proxy.cut();
      proxy.heal();
      await putting;
      t.is(cache.get('once')?.value, String(round));
    }
    const { entries } = await store.range({ key: 'test/cache/r/once' }, patient);
    t.is(entries[0]?.version, 5n, 'a put was made twice, or not at all');
  });
}
