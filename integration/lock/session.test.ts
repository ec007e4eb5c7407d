import test from 'ava';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, testedVersions } from './support/clients.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  test(`etcd ${version}: the TTL that the server granted is visible, and it is what counts`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    /* No less than one and a half elections, in whole seconds: etcd grants two. */
    const coordinator = await clients.connect(server.endpoint, { session: { ttlMs: 1_000 } });
    /* So short a session may be another one by the time that etcd is asked. */
    const found = await until('a session that is asked for while it lasts', async () => {
      const { session } = coordinator;
      if (session === undefined) return undefined;
      const text = await server.etcdctl(['lease', 'timetolive', session.lease, '--keys', '--write-out', 'json']);
      return coordinator.session?.lease === session.lease ? { session, text } : undefined;
    });
    const { session, text } = found!;
    const seen = JSON.parse(text) as { 'granted-ttl': number; keys: string[] };
    t.is(session.ttlMs, 2_000);
    t.true(session.remainingMs <= 1_800);
    t.is(seen['granted-ttl'], 2);
    t.deepEqual(
      seen.keys.map((key) => Buffer.from(key, 'base64').toString('utf8')),
      [`test/session/${session.lease}`],
    );
  });
}
