import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, storedKeys, testedVersions } from './support/clients.ts';
import { RpcCounts } from './support/rpc-counts.ts';
import { until } from './support/until.ts';

/** So long that neither a renewal nor an audit of the session falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

/** What holders wait for in common. If it never comes, the test runs into its time limit. */
class Occasion {
  comes!: () => void;
  readonly come = new Promise<void>((resolve) => {
    this.comes = resolve;
  });
}

/** A release that etcd is slow to answer is finished in the background. */
async function untilNothingIsLeft(server: EtcdServer, prefix: string): Promise<void> {
  await until(`no key below ${prefix}`, async () => (await storedKeys(server, prefix)).length === 0);
}

for (const version of testedVersions) {
  test.serial(
    `etcd ${version}: a permit costs two RPCs and its release one, a side of a read-write lock one each`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const coordinator = await clients.connect(server.endpoint, quiet);
      const semaphore = coordinator.semaphore('gpu', { permits: 3 });
      const lock = coordinator.readWriteLock('catalogue');
      const cost = async (cycle: () => Promise<unknown>): Promise<number | undefined> => {
        const counts = await RpcCounts.start(server);
        for (let count = 0; count < 20; count += 1) await cycle();
        return (await counts.sinceStart())['Txn'];
      };
      t.is(await cost(async () => (await semaphore.acquire()).release()), 60);
      t.is(await cost(async () => (await lock.read().acquire()).release()), 40);
      t.is(await cost(async () => (await lock.write().acquire()).release()), 40);
    },
  );

  test(`etcd ${version}: no more permits than there are, each slot once, with rising tokens, and nothing is left`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const permits = 3;
    const all = await Promise.all(Array.from({ length: 4 }, () => clients.connect(server.endpoint)));
    const highest = new Map<number, bigint>();
    const busy = new Set<number>();
    /* That all are out at the same time is not left to chance: nobody gives a permit back before. */
    const allOut = new Occasion();
    let done = 0;
    await Promise.all(
      all.flatMap((coordinator) =>
        Array.from({ length: 4 }, async () => {
          for (let count = 0; count < 8; count += 1) {
            await coordinator.semaphore('gpu', { permits }).with(async ({ slot, token }) => {
              t.false(busy.has(slot), `slot ${slot} twice`);
              busy.add(slot);
              t.true(token > (highest.get(slot) ?? 0n), `slot ${slot}`);
              highest.set(slot, token);
              if (busy.size === permits) allOut.comes();
              await allOut.come;
              await sleep(2);
              busy.delete(slot);
              done += 1;
            });
          }
        }),
      ),
    );
    t.is(done, 4 * 4 * 8);
    await untilNothingIsLeft(server, 'test/semaphore');
  });

  test(`etcd ${version}: readers together, a writer alone, and it is not starved`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const all = await Promise.all(Array.from({ length: 3 }, () => clients.connect(server.endpoint)));
    let [reading, writing, written] = [0, 0, 0];
    const together = new Occasion();
    const stop = new AbortController();
    const readers = all.flatMap((coordinator) =>
      Array.from({ length: 3 }, async () => {
        while (!stop.signal.aborted) {
          await coordinator
            .readWriteLock('catalogue')
            .read()
            .with(async () => {
              reading += 1;
              if (reading > 1) together.comes();
              t.is(writing, 0);
              await together.come;
              await sleep(5);
              reading -= 1;
            });
        }
      }),
    );
    /* Before there is a writer, who would have to be waited for by the second reader and would wait for the first one. */
    await together.come;
    const writers = all.map(async (coordinator) => {
      for (let count = 0; count < 10; count += 1) {
        await coordinator
          .readWriteLock('catalogue')
          .write()
          .with(async () => {
            writing += 1;
            t.is(writing, 1);
            t.is(reading, 0);
            await sleep(2);
            writing -= 1;
            written += 1;
          });
      }
    });
    await Promise.all(writers);
    stop.abort();
    await Promise.all(readers);
    t.is(written, 30);
    await untilNothingIsLeft(server, 'test/rwlock/');
  });

  test(`etcd ${version}: the permit of a process that vanishes is had again when its lease has ended`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const [gone, next] = [await clients.connect(server.endpoint), await clients.connect(server.endpoint)];
    const options = { permits: 1 };
    const held = await gone.semaphore('gpu', options).acquire();
    await server.etcdctl(['lease', 'revoke', gone.session!.lease]);
    const again = await next.semaphore('gpu', options).acquire({ timeoutMs: 15_000 });
    t.is(again.slot, held.slot);
    t.true(again.token > held.token);
    t.true(again.isHeld());
  });
}
