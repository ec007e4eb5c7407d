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

const requests = 2_000;
const seeds: readonly number[] = [1];

for (const version of etcdVersions) {
  for (const seed of seeds) {
    test.serial(
      `etcd ${version} and the model in memory answer ${requests} requests alike (seed ${seed})`,
      async (t) => {
        await using server = await EtcdServer.start({ version });
        const etcd = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint] });
        const cluster = new MemoryCluster(testRuntime());
        const model = cluster.connect();
        const stop = new AbortController();
        try {
          const histories = [collect(etcd, stop.signal), collect(model, stop.signal)] as const;
          const source = new RandomRequests(new SeededRandom(seed), { timeoutMs: 5_000 });
          for (let count = 0; count < requests; count += 1) {
            const { title, run } = source.next();
            const [theirs, ours] = [await outcome(run(etcd)), await outcome(run(model))];
            t.deepEqual(ours, theirs, `request ${count}: ${title}`);
            source.revision = cluster.revision;
            if (count % 100 === 99 && cluster.revision > 10n) {
              const revision = cluster.revision - 5n;
              cluster.compact(revision);
              await server.etcdctl(['compact', String(revision)]);
            }
          }
          const last = cluster.log.at(-1)?.revision ?? 0n;
          const [theirs, ours] = [await histories[0].until(last), await histories[1].until(last)];
          t.deepEqual(ours, theirs);
          t.true(ours.length > requests / 5);
        } finally {
          stop.abort();
          await etcd.close();
          await model.close();
        }
      },
    );
  }
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

/** Every event since the first revision. */
function collect(
  store: Store,
  signal: AbortSignal,
): { readonly until: (revision: bigint) => Promise<readonly WatchEvent[]> } {
  const events: WatchEvent[] = [];
  const batches = store.watch({ span: { prefix: '' }, fromRevision: 1n }, signal)[Symbol.asyncIterator]();
  const opened = batches.next();
  return {
    until: async (revision) => {
      for (let batch = await opened; batch.done !== true; batch = await batches.next()) {
        events.push(...batch.value.events);
        if (batch.value.events.length > 0 && batch.value.revision >= revision) return events;
      }
      throw new Error('The watch ended');
    },
  };
}
