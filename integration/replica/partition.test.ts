/**
 * Readers whose only member is cut off from its peers, while those go on: it answers, reports progress on the watch, and knows nothing.
 * Elections take seconds here, and for so long such a member does not notice.
 */
import test, { type ExecutionContext } from 'ava';
import { createCoordinator, type CacheChange, type Coordinator, type CoordinatorOptions } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { until } from '../lock/support/until.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import { Watching } from '../store/probe.ts';
import { checkTold, History, toldBy, type Told } from './history.ts';
import { aged, freshnessMs, neverTooYoung } from './reported-age.ts';
import { sampleUntil, StampedWriter, toConfig, toKey, type Sample } from './stamped-writer.ts';

const root = 'test/cache/r/';
const request = { deadlineMs: 15_000 };
/** For what is to fail. */
const hasty = { timeoutMs: 500, deadlineMs: 1_500 };
const patient = { timeoutMs: 5_000 };

/** Cuts a member off, and resolves at once or when there is something to see. */
type Isolate = (t: ExecutionContext, cluster: EtcdCluster, member: EtcdServer) => Promise<void>;

const cutOff: Isolate = (_, cluster, member) => Promise.resolve(cluster.partition(member));

/** It sleeps until the others have a leader of their own, and takes itself for the leader when it wakes. */
const cutOffAsleep: Isolate = async (t, cluster, member) => {
  cluster.partition(member);
  member.pause();
  t.not(await cluster.leader(), member);
  member.resume();
};

async function readsThroughPartition(
  t: ExecutionContext,
  cluster: EtcdCluster,
  member: EtcdServer,
  isolate: Isolate,
): Promise<void> {
  const others = cluster.members.filter((each) => each !== member).map(({ endpoint }) => endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: others, ...accessTo() });
  const own = createEtcdStore(systemRuntime(), { endpoints: [member.endpoint], ...accessTo() });
  const connect = (endpoints: string | string[], options: CoordinatorOptions = {}): Coordinator =>
    createCoordinator({ endpoints, namespace: 'test', ...accessTo(), request, ...options });
  await using majority = connect(others);
  await using coordinator = connect(member.endpoint);
  await using impatient = connect(member.endpoint, { request: hasty });
  const cache = coordinator.cache('r/', { freshnessMs });
  const config = coordinator.config<number>('c', { freshnessMs, fallback: 0 });
  const onDemand = coordinator.cache('r/', { keys: 'on-demand', freshnessMs });
  const asked = impatient.cache('r/', { freshnessMs });
  const coordinators = [majority, coordinator, impatient];
  await Promise.all(coordinators.map((each) => each.ready({ timeoutMs: 15_000 })));
  await Promise.all([cache, config, asked].map((each) => each.ready({ timeoutMs: 15_000 })));
  await onDemand.read('stamp');
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const told: Told[] = [];
  const following = follow(cache.watch(), told);

  const entries = new StampedWriter(toKey(store, `${root}stamp`));
  const versions = new StampedWriter(toConfig(majority.config<number>('c')));
  const writers = [entries, versions];
  t.teardown(async () => {
    await Promise.all(writers.map((writer) => writer.stop()));
    await Promise.all([store.close(), own.close()]);
  });
  const sample = (condition: (sample: Sample, writer: StampedWriter) => boolean): Promise<Sample[][]> =>
    Promise.all([
      sampleUntil(
        entries,
        () => cache.get('stamp'),
        (each) => condition(each, entries),
      ),
      sampleUntil(
        entries,
        () => onDemand.get('stamp'),
        (each) => condition(each, entries),
      ),
      sampleUntil(
        versions,
        () => config.get(),
        (each) => condition(each, versions),
      ),
    ]);
  const connected = await sample(({ source }, { written }) => source === 'live' && written > 20);
  for (const samples of connected)
    neverTooYoung(
      t,
      samples.filter(({ source }) => source !== 'fallback'),
    );
  const watching = new Watching(own, { span: { prefix: 'test/nothing/' }, fromRevision: revision + 1n });
  await watching.until(({ batches }) => batches.length > 1);

  const sinceMs = performance.now();
  await isolate(t, cluster, member);
  const progress = watching.batches.length;
  const before = new Map(writers.map((writer) => [writer, writer.written]));
  const asking = t.throwsAsync(asked.read('stamp', { consistency: 'linearizable' }), { code: 'UNAVAILABLE' });
  /* And it answers as if nothing were wrong. */
  const away = await sample(
    ({ ageMs }, writer) =>
      ageMs > 4 * freshnessMs && writer.written > (before.get(writer) ?? 0) + 20 && watching.batches.length > progress,
  );
  for (const samples of away) {
    aged(t, samples, sinceMs);
    t.true((samples.at(-1)?.trueMs ?? 0) > 0, 'the others went on without it');
  }
  t.log({
    'reports of progress': watching.batches.length - progress,
    'said to be': away.map((samples) => Math.round(samples.at(-1)?.ageMs ?? 0)),
    'truly, at least': away.map((samples) => Math.round(samples.at(-1)?.trueMs ?? 0)),
  });
  await asking;
  await t.throwsAsync(asked.read('stamp', { consistency: 'linearizable' }), { code: 'UNAVAILABLE' });
  /* Which shows that it took itself for the leader until now: to ask it would take longer than that may last. */
  if (isolate === cutOffAsleep) {
    await until('it to see that nobody follows it', () => /stepped down .* quorum is not active/.test(member.output));
  }

  cluster.heal();
  const after = new Map(writers.map((writer) => [writer, writer.written]));
  const back = await sample(({ source }) => source === 'live');
  const caughtUp = await sample(({ number }, writer) => number >= (after.get(writer) ?? 0));
  for (const samples of [...back, ...caughtUp]) neverTooYoung(t, samples);

  await Promise.all(writers.map((writer) => writer.stop()));
  const {
    entries: [last],
  } = await store.range({ key: `${root}stamp` }, patient);
  const to = last?.modRevision ?? 0n;
  t.is((await cache.read('stamp', { consistency: 'linearizable' }))?.revision, to);
  const history = new History(revision + 1n, (full) => full.slice(root.length));
  await history.record(store, { prefix: root }, to);
  await cache[Symbol.asyncDispose]();
  await following;
  t.log({ events: history.timelines[0]?.length, resyncs: checkTold(told, history.timelines) });
}

async function follow(changes: AsyncIterable<CacheChange>, told: Told[]): Promise<void> {
  for await (const change of changes) told.push(toldBy(change));
}

for (const version of ['3.4', '3.5.30'] as const) {
  const start = (): Promise<EtcdCluster> =>
    EtcdCluster.start({
      version,
      partitionable: true,
      fastElections: false,
      extraArgs: [
        ...['--heartbeat-interval', '200', '--election-timeout', '2000'],
        ...['--experimental-watch-progress-notify-interval', '50ms'],
      ],
    });

  test.serial(
    `etcd ${version}: readers at a follower that is cut off say how old they are at least, turn stale, and catch up`,
    async (t) => {
      await using cluster = await start();
      const [follower] = (await cluster.followers()) as [EtcdServer];
      await readsThroughPartition(t, cluster, follower, cutOff);
    },
  );

  test.serial(`etcd ${version}: readers at a leader that is cut off and deposed do so, too`, async (t) => {
    await using cluster = await start();
    await readsThroughPartition(t, cluster, await cluster.leader(), cutOff);
  });

  /* Before 3.4.42 and 3.5.28, a pause of the leader can make a linearizable read stale: see docs/adr/0006-freshness.md. */
  if (version === '3.4') continue;
  test.serial(
    `etcd ${version}: readers at a leader that was deposed in its sleep do so, too, while it takes itself for the leader`,
    async (t) => {
      await using cluster = await start();
      await readsThroughPartition(t, cluster, await cluster.leader(), cutOffAsleep);
    },
  );
}
