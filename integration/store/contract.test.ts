import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { storeContract } from '../../lib/store/store-contract.ts';
import type { Store } from '../../lib/store/store.ts';
import { etcdVersions, type EtcdVersion } from '../provision/etcd.ts';
import { accessTo, NAMESPACE } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/** What etcd does not do for every user: root asks for it, for this reason. */
const byRoot = new Map([
  ['an empty prefix is every key', 'a role for one namespace is for its keys alone'],
  ['the status tells revision and version', 'etcd 3.5.28 and later tell their status to root alone'],
]);

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
      const reason = byRoot.get(title);
      if (reason !== undefined && server.isRestricted) t.log(`as root: ${reason}`);
      const access = accessTo(reason === undefined ? NAMESPACE : 'root');
      const connect = (): Store => createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], unary, ...access });
      const previous = previousOf.get(version) ?? Promise.resolve();
      const store = connect();
      const done = previous.then(() =>
        run(t, store, {
          prefix: `test/contract-${unary}/${index}/`,
          newLease: () => randomBytes(8).readBigUInt64BE() >> 1n,
          pass: (durationMs) => sleep(durationMs),
          now: () => performance.now(),
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
