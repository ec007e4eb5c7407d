import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { Coordinator } from '../../lib/index.ts';
import { Clients, storedKeys, testedVersions } from '../lock/support/clients.ts';
import { RpcCounts } from '../lock/support/rpc-counts.ts';
import { until } from '../lock/support/until.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/** So long that neither a renewal nor an audit of the session falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

const HAND_OVERS = 96;

/** Coordinators whose sessions are watched already: that, too, is a request, and falls into no count after this. */
async function connect(clients: Clients, server: EtcdServer, count: number): Promise<Coordinator[]> {
  const counts = await RpcCounts.start(server);
  const coordinators = await Promise.all(Array.from({ length: count }, () => clients.connect(server.endpoint, quiet)));
  await counts.until('WatchRequests', count);
  return coordinators;
}

/** A watch that begins in the past is given up, and begun once more from where etcd is: it is open before the last of it was sent. */
async function untilNoMoreWatching(server: EtcdServer): Promise<void> {
  await until('no more requests of watches', async () => {
    const counts = await RpcCounts.start(server);
    await sleep(500);
    return (await counts.sinceStart())['WatchRequests'] === undefined;
  });
}

for (const version of testedVersions) {
  test(`etcd ${version}: messages per hand-over do not grow with the number of candidates`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const perHandOver = async (candidates: number): Promise<number> => {
      await using clients = new Clients();
      const coordinators = await connect(clients, server, candidates);
      const counts = await RpcCounts.start(server);
      await Promise.all(
        coordinators.map(async (coordinator, index) => {
          const election = coordinator.election(`of${candidates}`);
          for (let term = 0; term < HAND_OVERS / candidates; term += 1) {
            await (await election.campaign({ value: `candidate ${index}` })).resign();
          }
        }),
      );
      const counted = await counts.sinceStart();
      const { Txn = 0, Range = 0, WatchRequests = 0, Watch: _streams, ...others } = counted;
      t.deepEqual(others, {});
      t.log(`${candidates} candidates`, counted);
      return (Txn + Range + WatchRequests) / HAND_OVERS;
    };
    const few = await perHandOver(2);
    const many = await perHandOver(16);
    t.log(`${few.toFixed(2)} messages per hand-over among 2, ${many.toFixed(2)} among 16`);
    /* Eight times as many. A watch that begins behind the newest revision is given up and begun once more from there, which is two more. */
    t.true(many < few + 2, `${many}`);
  });

  test(`etcd ${version}: candidates that wait, and a leader that leads, send nothing but renewals`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinators = await connect(clients, server, 16);
    const campaigns = coordinators.map((coordinator) => coordinator.election('a').campaign());
    await until('all in the queue', async () => (await storedKeys(server, 'test/election/a/')).length === 16);
    const leadership = await Promise.race(campaigns);
    /* Each watches its session, and who is before it; the leader its own key after a moment. */
    await until('32 watches', async () => (await server.metrics()).get('etcd_debugging_mvcc_watcher_total') === 32);
    await untilNoMoreWatching(server);
    const counts = await RpcCounts.start(server);
    await sleep(1_500);
    t.deepEqual(await counts.sinceStart(), {});
    t.true(leadership.isHeld());
    const leaving = campaigns.map((campaign) => campaign.then((next) => next.resign()));
    await Promise.all(leaving);
  });
}
