import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { storeContract } from '../../lib/store/store-contract.ts';
import type { Store } from '../../lib/store/store.ts';
import { startEmbeddedEtcd } from '../../lib/testing/index.ts';

// The claims that a real etcd is held to in integration/store, over gRPC to the embedded one. Each case has a server of its
// own, and the machine: some wait for leases of two seconds.

for (const version of ['3.4.23', '3.5.30']) {
  for (const [index, { title, run }] of storeContract.entries()) {
    test.serial(`${title} (embedded etcd ${version})`, async (t) => {
      await using etcd = await startEmbeddedEtcd({ version });
      const connect = (): Store => createEtcdStore(systemRuntime(), { endpoints: [etcd.endpoint] });
      const store = connect();
      try {
        await run(t, store, {
          prefix: `contract/${index}/`,
          newLease: () => randomBytes(8).readBigUInt64BE() >> 1n,
          pass: (durationMs) => sleep(durationMs),
          now: () => performance.now(),
          compact: async (revision) => etcd.compact(revision),
          connect: async () => connect(),
        });
      } finally {
        await store.close();
      }
    });
  }
}
