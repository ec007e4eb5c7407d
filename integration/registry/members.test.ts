import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { CoordinationUnavailableError, type Registry } from '../../lib/index.ts';
import { Clients, shortLived, storedKeys, testedVersions } from '../lock/support/clients.ts';
import { RpcCounts } from '../lock/support/rpc-counts.ts';
import { until } from '../lock/support/until.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

/** So long that neither a renewal nor an audit of the session, nor a proof of freshness, falls into what is counted. */
const quiet = { session: { ttlMs: 600_000 }, request: { timeoutMs: 10_000, deadlineMs: 30_000 } };
const rare = { freshnessMs: 600_000 };

const PREFIX = 'test/registry/payments/';

/** `undefined` while nothing is known. */
function addresses(registry: Registry): string | undefined {
  try {
    const { members } = registry.members();
    return members.map(({ address }) => address).join();
  } catch (error) {
    if (error instanceof CoordinationUnavailableError) return undefined;
    throw error;
  }
}

for (const version of testedVersions) {
  test.serial(
    `etcd ${version}: registering, saying something else and leaving cost one RPC each, reading none`,
    async (t) => {
      await using server = await EtcdServer.start({ version });
      await using clients = new Clients();
      const [one, two] = [await clients.connect(server.endpoint, quiet), await clients.connect(server.endpoint, quiet)];
      const registry = one.registry('payments', rare);
      const reader = two.registry('payments', rare);
      /* Once round, so that the watches are open and looked after. */
      await reader.ready();
      const earlier = registry.register({ address: 'http://earlier' });
      await earlier.registered();
      await until(
        'the watches to be open',
        () => addresses(reader) === 'http://earlier' && addresses(registry) === 'http://earlier',
      );
      await earlier.leave();
      await until('the reader to know', () => addresses(reader) === '');

      const counts = await RpcCounts.start(server);
      const registration = registry.register({ address: 'http://one' });
      await registration.registered();
      await until('the reader to know', () => addresses(reader) === 'http://one');
      registration.update({ version: '2' });
      await until('the reader to know', () => reader.members().members[0]?.metadata['version'] === '2');
      for (let count = 0; count < 1_000; count += 1) reader.pick({ key: String(count) });
      t.is(await reader.call(({ address }) => address), 'http://one');
      await registration.leave();
      t.deepEqual(await storedKeys(server, PREFIX), []);
      await until('the reader to know', () => addresses(reader) === '');
      const { Txn, Range = 0, ...others } = await counts.sinceStart();
      t.is(Txn, 3);
      /* A watch is looked after once it is open. */
      t.true(Range <= 2, `${Range} ranges`);
      t.deepEqual(others, {});
    },
  );

  test(`etcd ${version}: a process that vanishes is gone with its lease, and one whose session was lost is there again`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const gone = await clients.connect(server.endpoint, { instanceId: 'gone' });
    const stays = await clients.connect(server.endpoint, { instanceId: 'stays' });
    const reader = (await clients.connect(server.endpoint)).registry('payments');
    const registrations = [gone, stays].map((each) => each.registry('payments').register({ address: each.instanceId }));
    await Promise.all(registrations.map((each) => each.registered()));
    await until('both to be known', () => addresses(reader) === 'gone,stays');

    const lost = stays.session!.lease;
    await server.etcdctl(['lease', 'revoke', lost]);
    await until('it to be there again', () => addresses(reader) === 'gone,stays' && stays.session?.lease !== lost);
    await registrations[1]!.registered();

    await gone.close({ drainMs: 0 });
    await until('it to be gone', () => addresses(reader) === 'stays');
    t.is(registrations[0]!.status.state, 'left');
    t.is((await storedKeys(server, PREFIX)).length, 1);
  });

  test(`etcd ${version}: an outage takes nobody off the list, and it goes on by itself`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, shortLived);
    const registry = one.registry('payments', { freshnessMs: 300 });
    const registration = registry.register({ address: 'http://one' });
    await registration.registered();
    await until('it to be known', () => addresses(registry) === 'http://one' && registry.members().source === 'live');
    await server.stop({ signal: 'SIGKILL' });
    await until('it to be stale', () => registry.members().source === 'stale');
    await until('the session to be lost', () => registration.status.state === 'joining');
    t.is(addresses(registry), 'http://one');
    t.is(registry.pick().length, 1);
    await server.restart();
    await registration.registered({ timeoutMs: 20_000 });
    await until('it to be live', () => addresses(registry) === 'http://one' && registry.members().source === 'live');
    await sleep(100);
    t.is(addresses(registry), 'http://one');
  });
}
