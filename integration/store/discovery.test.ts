import { Resolver, setServers } from 'node:dns/promises';
import test from 'ava';
import { createCoordinator } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore, type EtcdStoreOptions } from '../../lib/store/etcd/etcd-store.ts';
import type { ResolveSrv } from '../../lib/store/etcd/srv.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { RecordingLogger } from '../../lib/testing/recording-logger.ts';
import { testedVersions } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { accessTo, lockUp } from '../servers/access.ts';
import { CertificateAuthority } from '../servers/certificates.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { freePorts } from '../servers/free-ports.ts';
import { NameServer } from './name-server.ts';
import { newLease, putting, verdictOf, Watching } from './probe.ts';

const options = { timeoutMs: 5_000 };

/** Servers that have just started share the processors with everything else that starts. */
const firstContact = { timeoutMs: 15_000 };

const following = { members: true, everyMs: 100 };

/** A store, and what it knows by its own word. */
class Following implements AsyncDisposable {
  readonly logger = new RecordingLogger();
  readonly store: Store;

  constructor(storeOptions: EtcdStoreOptions) {
    this.store = createEtcdStore(systemRuntime(this.logger), storeOptions);
  }

  get endpoints(): readonly string[] {
    return (this.logger.of('store.endpoints').at(-1)?.fields['endpoints'] ?? []) as readonly string[];
  }

  knows(...endpoints: readonly string[]): Promise<unknown> {
    const wanted = endpoints.toSorted().join();
    return until(`the endpoints ${wanted}`, () => this.endpoints.toSorted().join() === wanted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
  }
}

/** Whoever was killed may have led: a write is taken once there is a leader again. */
function written(store: Store, key: string): Promise<unknown> {
  return until(
    'a write',
    async () => (await verdictOf(store.transact(putting(key), { timeoutMs: 1_000 }))).result === 'ok',
  );
}

/** Asks one name server, which need not be the machine's. */
function resolvingAt(server: NameServer): ResolveSrv {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([server.address]);
  return (name) => resolver.resolveSrv(name);
}

/** The record that is asked for, by whether clients speak TLS. */
const recordOf = ({ isRestricted }: EtcdServer): string => `_etcd-client${isRestricted ? '-ssl' : ''}._tcp.etcd.test`;

const target = (url: string, name = '127.0.0.1') => ({ name, port: Number(new URL(url).port), priority: 0, weight: 0 });

for (const version of testedVersions) {
  test(`a client of etcd ${version} that was told of one member goes on when that one is gone for good`, async (t) => {
    await using cluster = await EtcdCluster.start({ version, fastElections: false });
    const [only] = cluster.members as [EtcdServer];
    const configured = { endpoints: [only.endpoint], ...accessTo(), discovery: following };
    await using client = new Following(configured);
    await using fallback = new Following({ ...configured, unary: 'grpc-js' });
    for (const each of [client, fallback]) {
      await each.store.range({ key: 'test/nothing' }, firstContact);
      await each.knows(...cluster.endpoints);
    }
    const { store } = client;
    const lease = newLease();
    await store.grant(lease, 60_000, options);
    await store.renew(lease, options);
    const watching = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: 1n });
    await watching.until(({ batches }) => batches.length > 0);

    await only.stop({ signal: 'SIGKILL' });
    t.is((await watching.ended).result, 'unreachable transient');
    for (const each of [client, fallback]) await written(each.store, 'test/w/a');
    t.true((await store.renew(lease, options)).ttlMs > 0);
    const again = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: 1n });
    await again.until(({ keys }) => keys.includes('test/w/a'));
    await again.stop();
  });

  test(`a client of etcd ${version} follows who joins and who leaves, and does not use a learner`, async (t) => {
    await using cluster = await EtcdCluster.start({ version, fastElections: false });
    const [first, leaving, staying] = cluster.members as [EtcdServer, EtcdServer, EtcdServer];
    await using client = new Following({ endpoints: [first.endpoint], ...accessTo(), discovery: following });
    await client.store.range({ key: 'test/nothing' }, firstContact);
    await client.knows(...cluster.endpoints);

    await using learner = await cluster.addLearner(version);
    const asked = async (): Promise<number> => (await first.startedRpcs()).get('MemberList') ?? 0;
    const before = await asked();
    await until('another look at the members', async () => (await asked()) > before + 1);
    t.false(client.endpoints.includes(learner.endpoint));

    /* Refused until it has caught up. A follower of etcd 3.4 would ask its leader without saying who asks. */
    const leader = await cluster.leader();
    await leader.insist(['member', 'promote', await cluster.idOf(learner)], { done: /not a learner/i });
    await client.knows(...cluster.endpoints, learner.endpoint);
    await first.insist(['member', 'remove', await cluster.idOf(leaving)], { done: /member not found/i });
    await client.knows(first.endpoint, staying.endpoint, learner.endpoint);
    await first.stop({ signal: 'SIGKILL' });
    await written(client.store, 'test/a');
    t.true(client.endpoints.includes(first.endpoint), 'what was configured stays');
  });

  test(`a user of etcd ${version} with a role of its own follows the members, or is told once that it may not`, async (t) => {
    await using server = await EtcdServer.start({ version, access: 'plain' });
    await lockUp(server, ['app']);
    const auth = { username: 'app', password: 'password' };
    await using client = new Following({ endpoints: [server.endpoint], auth, discovery: following });
    t.is((await verdictOf(client.store.transact(putting('app/a'), firstContact))).result, 'ok');
    await until('three looks at the members', async () => ((await server.startedRpcs()).get('MemberList') ?? 0) >= 3);
    const learned = client.logger.of('store.endpoints').length;
    const refused = client.logger.of('store.undiscovered').length;
    t.log(learned === 1 ? 'may list the members' : 'may not');
    t.true(learned <= 1 && refused <= 1 && learned + refused > 0, `${learned} and ${refused}`);
    t.is((await verdictOf(client.store.transact(putting('app/b'), options))).result, 'ok');
  });
}

test('a client follows the records of DNS with its calls, its watch and its renewals, and outlives their loss', async (t) => {
  await using server = await EtcdServer.start();
  await using first = await FaultProxy.start(server.endpoint);
  await using second = await FaultProxy.start(server.endpoint);
  await using dns = await NameServer.start();
  const name = recordOf(server);
  dns.records.set(name, [target(first.endpoint)]);
  await using client = new Following({
    endpoints: [],
    ...accessTo(),
    discovery: { srv: 'etcd.test', members: false, everyMs: 100 },
    resolveSrv: resolvingAt(dns),
  });
  const { store } = client;
  const lease = newLease();
  await store.grant(lease, 60_000, firstContact);
  await store.renew(lease, options);
  const watching = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: 1n });
  await watching.until(({ batches }) => batches.length > 0);
  await until('three connections', () => first.connections === 3);

  dns.records.set(name, [target(second.endpoint, 'localhost')]);
  t.is((await watching.ended).result, 'unreachable transient');
  await until('the first to be left', () => first.connections === 0);
  t.is((await verdictOf(store.transact(putting('test/w/a'), options))).result, 'ok');
  t.true((await store.renew(lease, options)).ttlMs > 0);
  const again = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: 1n });
  await again.until(({ keys }) => keys.includes('test/w/a'));
  await until('three other connections', () => second.connections === 3);

  for (const lost of [undefined, [], [target(first.endpoint, '')]] as const) {
    if (lost === undefined) dns.records.delete(name);
    else dns.records.set(name, lost);
    const { questions } = dns;
    await until('two more questions', () => dns.questions > questions + 1);
    t.is((await verdictOf(store.range({ key: 'test/w/a' }, options))).result, 'ok');
  }
  t.deepEqual(client.endpoints, [second.endpoint.replace('127.0.0.1', 'localhost')]);
  await again.stop();
});

test.serial('a process starts while DNS is down, says so, and is ready when DNS is up', async (t) => {
  await using server = await EtcdServer.start();
  const [port] = (await freePorts(1)) as [number];
  setServers([`127.0.0.1:${port}`]);
  await using coordinator = createCoordinator({
    discovery: { srv: 'etcd.test', everyMs: 200 },
    namespace: 'test',
    ...accessTo(),
  });
  const error = await t.throwsAsync(coordinator.ready({ timeoutMs: 300 }), { code: 'UNAVAILABLE' });
  t.regex(error?.message ?? '', /what DNS names for etcd\.test/);
  await using dns = await NameServer.start(port);
  dns.records.set(recordOf(server), [target(server.endpoint, 'localhost')]);
  await coordinator.ready({ timeoutMs: 15_000 });
  await coordinator.lock('a').with(() => t.pass());
});

test('the host that DNS names has to be in the certificate, and in the domain where no authority was configured', async (t) => {
  await using authority = await CertificateAuthority.create();
  await using server = await EtcdServer.start({ tls: await authority.issue(['DNS:localhost']) });
  const tried = async (
    tls: NonNullable<EtcdStoreOptions['tls']>,
    host: string,
    srv: string,
    limit = firstContact,
  ): Promise<string> => {
    const discovery = { srv, members: false, everyMs: 60_000 };
    const resolveSrv: ResolveSrv = (name) =>
      Promise.resolve(name === `_etcd-client-ssl._tcp.${srv}` ? [target(server.endpoint, host)] : []);
    await using client = new Following({ endpoints: [], tls, discovery, resolveSrv });
    return (await verdictOf(client.store.range({ key: 'a' }, limit))).result;
  };
  const { ca } = authority;
  t.is(await tried({ ca }, 'localhost', 'etcd.test'), 'ok');
  t.is(await tried({ ca }, '127.0.0.1', 'etcd.test'), 'tls permanent');
  t.is(await tried({}, 'localhost', 'etcd.test', { timeoutMs: 2_000 }), 'timeout transient', 'it is not even tried');
  t.is(await tried({}, 'localhost', 'localhost'), 'tls permanent', 'it is tried, and its authority is unknown');
});
