import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Watching } from '../store/probe.ts';
import { aged, freshnessMs, neverTooYoung } from './reported-age.ts';
import { sampleUntil, StampedWriter, toKey, type Sample } from './stamped-writer.ts';

const key = 'test/cache/r/stamp';

for (const version of ['3.4', '3.5.30'] as const) {
  for (const fault of ['cut', 'blackhole', 'dropResponses', 'dropRequests'] as const) {
    test(`etcd ${version}: a reader behind a ${fault} says how old it is at least, turns stale, and recovers`, async (t) => {
      await using server = await EtcdServer.start({ version });
      await using proxy = await FaultProxy.start(server.endpoint);
      const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
      await using coordinator = createCoordinator({ endpoints: proxy.endpoint, namespace: 'test', ...accessTo() });
      const cache = coordinator.cache('r/', { freshnessMs });
      const strict = coordinator.cache('r/', { freshnessMs, maxStalenessMs: 2 * freshnessMs, onStale: 'throw' });
      const writer = new StampedWriter(toKey(store, key));
      t.teardown(async () => {
        await writer.stop();
        await store.close();
      });
      const sample = (condition: (sample: Sample) => boolean): Promise<Sample[]> =>
        sampleUntil(writer, () => cache.get('stamp'), condition);

      await Promise.all([cache.ready(), strict.ready()]);
      /* Written to all the time, it is proved again and again: its age goes back each time. */
      let [proofs, lastMs] = [0, 0];
      const connected = await sample(({ ageMs }) => {
        if (ageMs < lastMs) proofs += 1;
        lastMs = ageMs;
        return proofs === 5;
      });
      neverTooYoung(t, connected);

      proxy[fault]();
      const sinceMs = performance.now();
      const away = await sample(({ ageMs }) => ageMs > 4 * freshnessMs);
      aged(t, away, sinceMs);
      t.throws(() => strict.get('stamp'), { code: 'TOO_STALE' });
      t.log({
        'said to be when connected': Math.max(...connected.map(({ ageMs }) => Math.round(ageMs))),
        'said to be when away': Math.round(away.at(-1)!.ageMs),
        'true staleness when away': Math.round(away.at(-1)!.trueMs),
      });

      proxy.heal();
      const after = writer.written;
      neverTooYoung(t, await sample(({ source }) => source === 'live'));
      neverTooYoung(t, await sample(() => Number(cache.get('stamp')?.value) >= after));
    });
  }

  test(`etcd ${version}: a reader whose member lost its quorum turns stale while the member still reports progress`, async (t) => {
    /* Elections that take seconds: so long a member without the others goes on as if nothing were wrong. */
    await using cluster = await EtcdCluster.start({
      version,
      fastElections: false,
      extraArgs: [
        ...['--heartbeat-interval', '200', '--election-timeout', '2000'],
        ...['--experimental-watch-progress-notify-interval', '50ms'],
      ],
    });
    const [member] = await cluster.followers();
    const others = cluster.members.filter((each) => each !== member);
    const endpoint = member!.endpoint;
    const store = createEtcdStore(systemRuntime(), { endpoints: others.map((each) => each.endpoint), ...accessTo() });
    const own = createEtcdStore(systemRuntime(), { endpoints: [endpoint], ...accessTo() });
    await using coordinator = createCoordinator({ endpoints: endpoint, namespace: 'test', ...accessTo() });
    const cache = coordinator.cache('r/', { freshnessMs });
    await cache.ready();
    const writer = new StampedWriter(toKey(store, key));
    t.teardown(async () => {
      await writer.stop();
      await Promise.all([store.close(), own.close()]);
    });
    const sample = (condition: (sample: Sample) => boolean): Promise<Sample[]> =>
      sampleUntil(writer, () => cache.get('stamp'), condition);
    neverTooYoung(t, await sample(({ source }) => source === 'live' && writer.written > 50));
    const { revision } = await own.range({ key: 'test/nothing' }, { timeoutMs: 2_000 });
    const watching = new Watching(own, { span: { prefix: 'test/nothing/' }, fromRevision: revision + 1n });
    await watching.until(({ batches }) => batches.length > 1);

    for (const other of others) other.pause();
    const sinceMs = performance.now();
    const before = watching.batches.length;
    /* The member goes on to report progress meanwhile. */
    const away = await sample(({ ageMs }) => ageMs > 4 * freshnessMs && watching.batches.length >= before + 3);
    aged(t, away, sinceMs);
    t.log({ progress: watching.batches.length - before, 'said to be': Math.round(away.at(-1)!.ageMs) });

    for (const other of others) other.resume();
    neverTooYoung(t, await sample(({ source }) => source === 'live'));
    const after = writer.written;
    neverTooYoung(t, await sample(({ source }) => source === 'live' && writer.written > after + 20));
  });
}
