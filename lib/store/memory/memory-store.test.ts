import test from 'ava';
import { sleep } from '../../runtime/clock.ts';
import { testRuntime } from '../../testing/test-runtime.ts';
import { storeContract } from '../store-contract.ts';
import { MemoryCluster, type Delay } from './memory-cluster.ts';

/** The model keeps the contract at once and over a slow network alike. */
const networks: Readonly<Record<string, { readonly latencyMs: Delay; readonly catchUpMs: Delay }>> = {
  'without latency': { latencyMs: 0, catchUpMs: 0 },
  'with latency': { latencyMs: { from: 1, to: 20 }, catchUpMs: { from: 0, to: 100 } },
};

for (const [network, { latencyMs, catchUpMs }] of Object.entries(networks)) {
  for (const { title, run } of storeContract) {
    test(`${title} (${network})`, async (t) => {
      const runtime = testRuntime();
      const cluster = new MemoryCluster(runtime, { catchUpMs, expiryLagMs: { from: 0, to: 500 } });
      const store = cluster.connect({ latencyMs });
      let leases = 0n;
      const done = run(t, store, {
        prefix: 'contract/',
        newLease: () => (leases += 1n),
        pass: (durationMs) => sleep(runtime.clock, durationMs),
        now: () => runtime.clock.now().monotonicMs,
        compact: async (revision) => cluster.compact(revision),
        connect: async () => cluster.connect({ latencyMs }),
      });
      await runtime.clock.settle(done);
      await store.close();
      t.is(cluster.openWatches, 0);
      // Nothing is left behind but leases, which end.
      await runtime.clock.advance(61_000);
      t.deepEqual([cluster.leases, runtime.clock.pendingTimers], [[], 0]);
    });
  }
}
