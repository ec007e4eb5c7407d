import test from 'ava';
import type { Coordinator, HeldPartition } from '../../lib/index.ts';
import { Clients, storedKeys, testedVersions } from '../lock/support/clients.ts';
import { RpcCounts } from '../lock/support/rpc-counts.ts';
import { until } from '../lock/support/until.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/** So long that neither a renewal nor an audit of the session falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

const COUNT = 32;

async function untilTold(_: number, { signal }: HeldPartition): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

interface Owner {
  readonly owned: () => readonly number[];
  /** It has what falls to it, and that is something. */
  readonly isSettled: () => boolean;
  readonly stop: () => Promise<void>;
}

function own(coordinator: Coordinator): Owner {
  const partitions = coordinator.partitions('orders', { count: COUNT });
  const stop = new AbortController();
  const owning = partitions.own(untilTold, { signal: stop.signal }).catch(() => {});
  return {
    owned: () => partitions.standing().owned,
    isSettled: () => {
      const { owned, assigned } = partitions.standing();
      return owned.length > 0 && owned.length === assigned.length;
    },
    stop: async () => {
      stop.abort();
      await owning;
    },
  };
}

for (const version of testedVersions) {
  test.serial(
    `etcd ${version}: partitions are asked for together, and cost nothing while they are owned`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const one = await clients.connect(server.endpoint, quiet);
      const counts = await RpcCounts.start(server);
      const first = own(one);
      await until('all to be owned', () => first.owned().length === COUNT);
      const { Txn } = await counts.sinceStart();
      /* The registration, and all places together. */
      t.is(Txn, 2);

      const atRest = await RpcCounts.start(server);
      for (let count = 0; count < 10_000; count += 1) one.partitions('orders', { count: COUNT }).of(String(count));
      t.deepEqual((await atRest.sinceStart())['Txn'] ?? 0, 0);

      const two = await clients.connect(server.endpoint, quiet);
      const moving = await RpcCounts.start(server);
      const second = own(two);
      await until('all to be owned', () => first.isSettled() && second.isSettled() && first.owned().length < COUNT);
      const moved = second.owned().length;
      const { Txn: moves = 0 } = await moving.sinceStart();
      t.true(moved > 0 && moved < COUNT);
      /* Each is left once, got once, and looked after once more by who waits. */
      t.true(moves <= 2 + 3 * moved, `${moves} for ${moved} that moved`);
      t.log(`${moved} of ${COUNT} moved by ${moves} transactions`);

      await first.stop();
      await until('the other one to own all', () => second.owned().length === COUNT);
      await second.stop();
      t.deepEqual(await storedKeys(server, 'test/partition'), []);
    },
  );
}
