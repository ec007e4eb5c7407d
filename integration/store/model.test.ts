import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { MemoryCluster } from '../../lib/store/memory/memory-cluster.ts';
import { StoreError } from '../../lib/store/store-error.ts';
import type { Store, WatchEvent } from '../../lib/store/store.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { testRuntime } from '../../lib/testing/test-runtime.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { RandomRequests } from './random-requests.ts';

// `integration/differential` compares the model with etcd at length. Here both are asked through the port, for what the adapter makes of it.
const requests = 500;
const requestsPerCompaction = 50;
const call = { timeoutMs: 5_000 };

for (const version of etcdVersions) {
  test.serial(`etcd ${version} and the model in memory answer ${requests} requests alike`, async (t) => {
    await using server = await EtcdServer.start({ version, access: 'plain' });
    const etcd = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint] });
    const cluster = new MemoryCluster(testRuntime(), { losesDeletesAtCompaction: version === '3.4' });
    const model = cluster.connect();
    const random = new SeededRandom(1);
    const source = new RandomRequests(random, call);
    try {
      for (let count = 1; count <= requests; count += 1) {
        const { title, run } = source.next();
        const [theirs, ours] = [await outcome(run(etcd)), await outcome(run(model))];
        t.deepEqual(ours, theirs, `request ${count}: ${title}`);
        source.revision = cluster.revision;
        if (count % requestsPerCompaction > 0) continue;

        const revision = cluster.revision - BigInt(random.integer(0, 2));
        cluster.compact(revision);
        await server.etcdctl(['compact', '--physical', String(revision)]);
        for (const store of [etcd, model]) await markEnd(store);
        for (const fromRevision of [revision, revision + 1n]) {
          t.deepEqual(await history(model, fromRevision), await history(etcd, fromRevision));
        }
      }
    } finally {
      await etcd.close();
      await model.close();
    }
  });
}

/** What a call gave, so that failures compare like answers. */
async function outcome(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { reason: error.reason, outcome: error.outcome };
  }
}

const END = 'end';

/** Writes what {@link history} reads up to. */
async function markEnd(store: Store): Promise<void> {
  await store.transact({ compare: [], then: [{ type: 'put', key: END, value: '' }] }, call);
}

/** Every event from a revision on, up to the last mark. */
async function history(store: Store, fromRevision: bigint): Promise<readonly WatchEvent[]> {
  const mark = (await store.range({ key: END }, call)).entries[0]?.modRevision;
  const events: WatchEvent[] = [];
  const stop = new AbortController();
  for await (const batch of store.watch({ span: { prefix: '' }, fromRevision }, stop.signal)) {
    events.push(...batch.events);
    const last = events.at(-1);
    if (last?.type === 'put' && last.entry.modRevision === mark) break;
  }
  stop.abort();
  return events;
}
