import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { leaseHex } from '../../lib/session/keyspace.ts';
import { Clients, electionMs, shortLived, storedKeys, testedVersions, ttlMs } from '../lock/support/clients.ts';
import { RpcCounts } from '../lock/support/rpc-counts.ts';
import { until } from '../lock/support/until.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/** So long that neither a renewal nor an audit of the session falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

for (const version of testedVersions) {
  test.serial(`etcd ${version}: done work costs one RPC, and the first time five and a lease`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const watched = await RpcCounts.start(server);
    const coordinator = await clients.connect(server.endpoint, quiet);
    await watched.until('WatchRequests', 1);
    const cost = async (result: (count: number) => number): Promise<object> => {
      const counts = await RpcCounts.start(server);
      for (let count = 0; count < 20; count += 1) t.is(await coordinator.once(`a${count}`, () => result(count)), count);
      /* A turn that lasts is watched, and on a busy machine one may. */
      const { WatchRequests: _, ...others } = await counts.sinceStart();
      return others;
    };
    t.deepEqual(await cost((count) => count), { Txn: 100, LeaseGrant: 20, leases: 20 });
    t.deepEqual(await cost(() => -1), { Txn: 20 });
  });

  test(`etcd ${version}: thirty callers in three coordinators get the result of one`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const all = await Promise.all(Array.from({ length: 3 }, () => clients.connect(server.endpoint)));
    let done = 0;
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        all[index % 3]!.once('a', async () => {
          await sleep(100);
          done += 1;
          return { bucket: `b${done}` };
        }),
      ),
    );
    t.is(done, 1);
    for (const result of results) t.deepEqual(result, { bucket: 'b1' });
    /* Whoever is done does not wait for a turn to be given back. */
    await until('no turn to be taken', async () => (await storedKeys(server, 'test/once-turn/')).length === 0);
  });

  test(`etcd ${version}: the record is on a lease of its own, of the TTL that was asked for, and outlives who wrote it`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await clients.connect(server.endpoint);
    await coordinator.once('a', () => undefined, { ttlMs: 89_100 });
    const session = coordinator.session!.lease;
    await coordinator.close();
    const text = await server.etcdctl(['get', 'test/once/a', '--write-out', 'json']);
    const [lease] = /(?<="lease":)\d+/.exec(text) ?? [];
    t.not(leaseHex(BigInt(lease!)), session);
    const said = await server.etcdctl(['lease', 'timetolive', leaseHex(BigInt(lease!)), '--keys']);
    t.regex(said, /granted with TTL\(90s\).*attached keys\(\[test\/once\/a\]\)/);
  });

  test(`etcd ${version}: a process is killed between effect and record: the next one does it, with the same key`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const script = fileURLToPath(new URL('./dying.js', import.meta.url));
    const options = { endpoints: server.endpoint, namespace: 'test', ...accessTo(), ...shortLived };
    const effect = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, [script, JSON.stringify(options)], (error, stdout) => {
        if (error?.signal === 'SIGKILL') resolve(stdout);
        else reject(error ?? new Error('it was to be killed'));
      });
    });
    const [key = '', token = ''] = effect.split(' ');
    const next = await clients.connect(server.endpoint);
    const timeoutMs = 2 * (ttlMs + electionMs) + 2_000;
    const again = await next.once('a', (turn) => ({ key: turn.key, token: String(turn.token) }), { timeoutMs });
    t.is(again.key, key);
    t.true(BigInt(again.token) > BigInt(token));
  });

  test(`etcd ${version}: what was taken back, or has ended, is done again`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const [one, other] = [await clients.connect(server.endpoint), await clients.connect(server.endpoint)];
    t.is(await one.once('a', () => 1, { ttlMs: 1_000 }), 1);
    await other.forgetOnce('a');
    t.is(await one.once('a', () => 2, { ttlMs: 1_000 }), 2);
    let result = 2;
    while (result === 2) {
      await sleep(100);
      result = await other.once('a', () => 3);
    }
    t.is(result, 3);
  });
}
