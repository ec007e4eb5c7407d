import test from 'ava';
import { type Coordinator, type CoordinatorOptions } from '../../lib/index.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, storedKeys, testedVersions } from './support/clients.ts';
import { openStreams, RpcCounts } from './support/rpc-counts.ts';
import { until } from './support/until.ts';

/** So long that neither a renewal nor an audit of the session falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

for (const version of testedVersions) {
  test.serial(
    `etcd ${version}: an uncontended acquire costs one RPC, a release one, and neither a watch`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const coordinator = await connect(clients, server, quiet);
      const cycles = 100;

      let slow = 0;
      const counts = await RpcCounts.start(server);
      for (let cycle = 0; cycle < cycles; cycle += 1) {
        const startedAt = performance.now();
        await (await coordinator.lock('same').acquire()).release();
        await (await coordinator.lock('same').tryAcquire())?.release();
        if (performance.now() - startedAt > 200) slow += 1;
      }
      const { Txn, WatchRequests = 0, ...others } = await counts.sinceStart();
      t.is(Txn, 4 * cycles);
      t.deepEqual(others, {});
      /* A tenure that lasts is watched, and on a busy machine one may: by a watch that begins, is ended and begins anew. */
      t.true(WatchRequests <= 4 * slow, `${WatchRequests} in ${slow} slow cycles`);

      const acquires = await RpcCounts.start(server);
      const held = [];
      for (let cycle = 0; cycle < cycles; cycle += 1) held.push(await coordinator.lock(`a${cycle}`).acquire());
      t.is((await acquires.sinceStart())['Txn'], cycles);
      const releases = await RpcCounts.start(server);
      for (const lock of held) await lock.release();
      t.is((await releases.sinceStart())['Txn'], cycles);
    },
  );

  test.serial(`etcd ${version}: a thousand held locks cost one lease and one stream of renewals`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const counts = await RpcCounts.start(server);
    const coordinator = await connect(clients, server, { ...quiet, session: { ttlMs: 6_000 } });
    const held = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => coordinator.lock(`a${index}`).acquire()),
    );
    t.is((await storedKeys(server, 'test/lock/')).length, 1_000);

    /* Long enough for renewals and for an audit of what is on the lease. */
    const renewals = await RpcCounts.start(server);
    await renewals.until('LeaseTimeToLive', 1);
    const { Renewals = 0 } = await renewals.sinceStart();
    const counted = await counts.sinceStart();
    t.like(counted, { leases: 1, LeaseGrant: 1 });
    t.true(Renewals <= 10, `${Renewals} renewals in about a TTL`);
    /* One stream for all renewals, and one for all watches: of the session's key, and of each lock's. Another one may have failed before. */
    await until('one stream of each', async () => {
      const open = await openStreams(server);
      return open.get('LeaseKeepAlive') === 1 && open.get('Watch') === 1;
    });
    t.true(held.every((lock) => lock.isHeld()));
    t.log(counted);
    await coordinator.close({ drainMs: 0 });
    await Promise.all(held.map((lock) => lock.release()));
  });

  test.serial(`etcd ${version}: locks of one turn cost one RPC together, and so do their releases`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await connect(clients, server, quiet);
    const counts = await RpcCounts.start(server);
    const held = await Promise.all(Array.from({ length: 64 }, (_, index) => coordinator.lock(`a${index}`).acquire()));
    await Promise.all(held.map((lock) => lock.release()));
    t.like(await counts.sinceStart(), { Txn: 2 });
  });

  test.serial(
    `etcd ${version}: a hand-over within a process costs nothing, one that goes by etcd one write`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const coordinator = await connect(clients, server, quiet);
      const hands = 16;
      const each = 50;
      const pass = async (handoff: boolean): Promise<Record<string, number>> => {
        const counts = await RpcCounts.start(server);
        const lock = coordinator.lock('a', { handoff });
        const contenders = Array.from({ length: hands }, async () => {
          for (let count = 0; count < each; count += 1) await (await lock.acquire()).release();
        });
        await Promise.all(contenders);
        return await counts.sinceStart();
      };
      const { Txn: writes = 0, Range: reads = 0 } = await pass(false);
      /* The first acquire and the last release have nobody to share their transaction with. */
      t.is(writes, hands * each + 1);
      t.is(reads, 0);
      const { Txn: fewWrites = 0, Range: fewReads = 0 } = await pass(true);
      t.true(fewWrites <= (hands * each) / 5, `${fewWrites} writes for ${hands * each} hand-overs`);
      t.is(fewReads, 0);
      t.log(`${writes} writes without handoff, ${fewWrites} with it, for ${hands * each} hand-overs`);
    },
  );

  test.serial(`etcd ${version}: a lock that lingers costs nothing to take again`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await connect(clients, server, quiet);
    const lock = coordinator.lock('a', { lingerMs: 60_000 });
    await (await lock.acquire()).release();
    const counts = await RpcCounts.start(server);
    await counts.until('WatchRequests', 1);
    for (let cycle = 0; cycle < 1_000; cycle += 1) await (await lock.acquire()).release();
    const { Txn = 0, Range = 0 } = await counts.sinceStart();
    t.is(Txn + Range, 0);
  });

  test.serial(`etcd ${version}: RPCs per hand-over do not grow with the number of contenders`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const perHandOver = async (contenders: number): Promise<number> => {
      await using clients = new Clients();
      const coordinators: Coordinator[] = [];
      for (let index = 0; index < contenders; index += 1) coordinators.push(await connect(clients, server, quiet));
      const each = 240 / contenders;
      const counts = await RpcCounts.start(server);
      await Promise.all(
        coordinators.map(async (coordinator) => {
          for (let count = 0; count < each; count += 1)
            await (await coordinator.lock(`of${contenders}`).acquire()).release();
        }),
      );
      const counted = await counts.sinceStart();
      const { Txn = 0, Range = 0, WatchRequests = 0 } = counted;
      t.log(`${contenders} contenders`, counted);
      return (Txn + Range + WatchRequests) / (contenders * each);
    };
    const few = await perHandOver(2);
    const many = await perHandOver(16);
    t.log(`${few.toFixed(2)} RPCs per hand-over among 2, ${many.toFixed(2)} among 16`);
    /* An enqueue and a release, and the watches that were opened once. */
    t.true(few < 2.2, `${few}`);
    t.true(many < few * 1.3, `${many}`);
  });
}

/** A coordinator whose session is watched already: that, too, is a request, and falls into no count after this. */
async function connect(clients: Clients, server: EtcdServer, options: CoordinatorOptions): Promise<Coordinator> {
  const counts = await RpcCounts.start(server);
  const coordinator = await clients.connect(server.endpoint, options);
  await counts.until('WatchRequests', 1);
  return coordinator;
}
