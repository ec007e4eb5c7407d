import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { storeContract } from '../../lib/store/store-contract.ts';
import type { Store } from '../../lib/store/store.ts';
import { etcdVersions, type EtcdVersion } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

const servers = new Map<EtcdVersion, EtcdServer>();

test.before(async () => {
  await Promise.all(
    etcdVersions.map(async (version) => {
      servers.set(version, await EtcdServer.start({ version }));
    }),
  );
});

test.after.always(async () => {
  await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()));
});

/* The cases of one server run one at a time, since they count revisions; the servers run beside each other. */
const previousOf = new Map<EtcdVersion, Promise<unknown>>();
for (const [version, unary] of [
  ...etcdVersions.map((each) => [each, 'http2'] as const),
  ['3.5.30', 'grpc-js'] as const,
]) {
  for (const [index, { title, run }] of storeContract.entries()) {
    test(`${title} (etcd ${version}, ${unary})`, async (t) => {
      const server = servers.get(version) as EtcdServer;
      const connect = (): Store => createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], unary });
      const previous = previousOf.get(version) ?? Promise.resolve();
      const store = connect();
      const done = previous.then(() =>
        run(t, store, {
          prefix: `contract-${unary}/${index}/`,
          newLease: () => randomBytes(8).readBigUInt64BE() >> 1n,
          pass: (durationMs) => sleep(durationMs),
          compact: async (revision) => {
            await server.etcdctl(['compact', String(revision)]);
          },
          connect: async () => connect(),
        }),
      );
      previousOf.set(
        version,
        done.catch(() => undefined),
      );
      try {
        await done;
      } finally {
        await store.close();
      }
    });
  }
}
