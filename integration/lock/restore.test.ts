import test from 'ava';
import { CoordinationUnavailableError, LockLostError, unpackToken } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/index.ts';
import { backUp, restore } from '../servers/backup.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Clients, storedKeys, testedVersions } from './support/clients.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  test(`etcd ${version}: a restore from a snapshot under running clients ends their sessions, and with a raised epoch tokens rise`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    await using clients = new Clients();
    const coordinator = await clients.connect(proxy.endpoint, { session: { ttlMs: 20_000 } });
    const early = await coordinator.lock('early').acquire();
    const snapshot = await backUp(server);

    for (let cycle = 0; cycle < 20; cycle += 1) await (await coordinator.lock('a').acquire()).release();
    const held = await coordinator.lock('a').acquire();
    const lease = coordinator.session?.lease;

    /* As docs/restore.md says: no client comes back before the epoch is raised. */
    proxy.cut();
    await restore([server], snapshot);
    await server.etcdctl(['put', 'test/epoch', '1']);
    /* A client that has noticed the outage looks as soon as it is over; one that has not, within about a TTL. */
    await t.throwsAsync(coordinator.lock('b').acquire({ timeoutMs: 300 }), {
      instanceOf: CoordinationUnavailableError,
    });
    await until('a failed renewal', () => coordinator.health.state === 'suspended');
    t.true(held.isHeld());
    proxy.heal();

    /* Its lease is in the snapshot and is renewed; only the revision tells. */
    await until('the end of the session', () => held.signal.aborted && early.signal.aborted);
    for (const lost of [held, early]) {
      t.false(lost.isHeld());
      t.true(lost.signal.reason instanceof LockLostError);
      t.regex(String((lost.signal.reason as LockLostError).cause), /revision went back/);
    }
    await until('another session', () => coordinator.session !== undefined && coordinator.session.lease !== lease);
    const after = await coordinator.lock('a').acquire({ waitForRecovery: true });
    t.true(unpackToken(after.token).revision < unpackToken(held.token).revision);
    t.is(unpackToken(after.token).epoch, 1);
    t.true(after.token > held.token);
    await after.release();

    /* What the snapshot brought back of the old session goes with its lease. */
    await coordinator.close();
    await until('no key but the epoch', async () => (await storedKeys(server, 'test/')).length === 1, {
      withinMs: 90_000,
    });
  });
}
