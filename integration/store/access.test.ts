import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { testedVersions } from '../lock/support/clients.ts';
import { until } from '../lock/support/until.ts';
import { addUsers, askWhoIsThere, ROOT } from '../servers/access.ts';
import { backUp, restore } from '../servers/backup.ts';
import { CertificateAuthority } from '../servers/certificates.ts';
import { EtcdServer, type EtcdServerOptions } from '../servers/etcd-server.ts';
import { newLease, opened, putting, verdictOf, Watching } from './probe.ts';

/** Nine servers start at once, and each password is made expensive to check. */
const options = { timeoutMs: 15_000 };
const root = ['--user', ROOT];

/** A server with a user `app`, who may read and write below `app/`, and which does not ask for it yet. */
async function startGuarded(serverOptions: EtcdServerOptions = {}): Promise<EtcdServer> {
  const server = await EtcdServer.start({ access: 'plain', ...serverOptions });
  await addUsers(server, ['app']);
  return server;
}

function connect(endpoint: string, password = 'password', username = 'app'): Store {
  return createEtcdStore(systemRuntime(), { endpoints: [endpoint], auth: { username, password } });
}

test('who has no permission is denied, for good, and one who has is served', async (t) => {
  await using server = await startGuarded();
  await askWhoIsThere(server);
  const store = connect(server.endpoint);
  t.is((await verdictOf(store.transact(putting('app/a'), options))).result, 'ok');
  t.is((await verdictOf(store.transact(putting('other'), options))).result, 'denied permanent');
  t.is((await verdictOf(store.range({ key: 'other' }, options))).result, 'denied permanent');

  const allowed = new Watching(store, { span: { prefix: 'app/' }, fromRevision: 1n });
  await allowed.until(({ keys }) => keys.length > 0);
  const denied = new Watching(store, { span: { prefix: '' }, fromRevision: 1n });
  t.is((await denied.ended).result, 'denied permanent');
  const later = new Watching(store, { span: { prefix: 'app/' }, fromRevision: 1n });
  await later.until(({ keys }) => keys.length > 0);
  await store.transact(putting('app/b'), options);
  await Promise.all([allowed, later].map((each) => each.until(({ keys }) => keys.includes('app/b'))));
  t.deepEqual(
    [allowed.keys, later.keys],
    [
      ['app/a', 'app/b'],
      ['app/a', 'app/b'],
    ],
  );
  await store.close();
});

test('a wrong password, an unknown user and no user at all are refused for good', async (t) => {
  await using server = await startGuarded();
  await askWhoIsThere(server);
  for (const store of [
    connect(server.endpoint, 'wrong'),
    connect(server.endpoint, 'password', 'nobody'),
    createEtcdStore(systemRuntime(), { endpoints: [server.endpoint] }),
  ]) {
    t.is((await verdictOf(store.range({ key: 'app/a' }, options))).result, 'unauthenticated permanent');
    t.is((await verdictOf(store.transact(putting('app/a'), options))).result, 'unauthenticated permanent');
    const watching = new Watching(store, { span: { prefix: 'app/' }, fromRevision: 1n });
    t.regex((await watching.ended).result, /^(unauthenticated|denied) permanent$/);
    await store.close();
  }
});

test('an expired token is renewed without one failure, and what was watched goes on', async (t) => {
  await using server = await startGuarded({ version: '3.5.30', extraArgs: ['--auth-token-ttl', '1'] });
  await askWhoIsThere(server);
  const store = connect(server.endpoint);
  const { revision } = await store.transact(putting('app/0'), options);
  const lease = newLease();
  await store.grant(lease, 60_000, options);
  await store.renew(lease, options);
  const before = new Watching(store, { span: { prefix: 'app/' }, fromRevision: revision });
  await before.until(({ keys }) => keys.length > 0);

  /* Unused for a second it expires, once etcd has looked, which it does every second. Where it is late the token was used, and lives on. */
  const asked = async (): Promise<number> => (await server.startedRpcs()).get('Authenticate') ?? 0;
  const askedBefore = await asked();
  const watches = [before];
  const written = ['app/0'];
  await until('the token to be expired when it is used', async () => {
    await sleep(2_500);
    const after = new Watching(store, { span: { prefix: 'app/' }, fromRevision: revision });
    await after.until(({ keys }) => keys.length > 0);
    watches.push(after);
    t.is((await verdictOf(store.renew(lease, options))).result, 'ok');
    t.is((await verdictOf(store.transact(putting('app/1'), options))).result, 'ok');
    written.push('app/1');
    return (await asked()) > askedBefore;
  });
  await Promise.all(watches.map((each) => each.until(({ keys }) => keys.length >= written.length)));
  for (const { keys } of watches) t.deepEqual(keys, written);
  await store.close();
});

test('tokens that a restart or a change of roles made worthless are renewed without one failure', async (t) => {
  await using server = await startGuarded();
  await askWhoIsThere(server);
  const store = connect(server.endpoint);
  const { revision } = await store.transact(putting('app/a'), options);
  const early = new Watching(store, { span: { prefix: 'app/' }, fromRevision: revision });
  await early.until(({ keys }) => keys.length > 0);

  await server.etcdctl([...root, 'role', 'grant-permission', 'app', '--prefix=true', 'readwrite', 'more/']);
  t.is((await verdictOf(store.transact(putting('more/a'), options))).result, 'ok');
  await server.etcdctl([...root, 'user', 'add', 'somebody:else']);
  const watching = new Watching(store, { span: { prefix: 'more/' }, fromRevision: 1n });
  await watching.until(({ keys }) => keys.length > 0);
  await store.transact(putting('app/a', 'again'), options);
  await early.until(({ keys }) => keys.length > 1);

  await server.restart();
  for (const { ended } of [early, watching]) t.is((await ended).error?.outcome, 'transient');
  const calls = await Promise.all([
    verdictOf(store.transact(putting('app/b'), options)),
    verdictOf(store.range({ key: 'app/b' }, options)),
  ]);
  t.deepEqual(
    calls.map(({ result }) => result),
    ['ok', 'ok'],
  );
  await store.close();
});

test('a password for a cluster that asks for none does no harm, and serves when it begins to', async (t) => {
  await using server = await startGuarded();
  const store = connect(server.endpoint);
  t.is((await verdictOf(store.transact(putting('app/a'), options))).result, 'ok');
  await askWhoIsThere(server);
  t.is((await verdictOf(store.transact(putting('app/b'), options))).result, 'ok');
  t.is((await verdictOf(store.transact(putting('other'), options))).result, 'denied permanent');
  await store.close();
});

test('to a client with a certificate, which etcd takes for a user by its name, it serves then as well', async (t) => {
  await using authority = await CertificateAuthority.create();
  const { ca, caFile } = authority;
  const issued = await authority.issue(['IP:127.0.0.1'], { commonName: 'somebody' });
  await using server = await startGuarded({ tls: { ...issued, clientCaFile: caFile } });
  const store = createEtcdStore(systemRuntime(), {
    endpoints: [server.endpoint],
    auth: { username: 'app', password: 'password' },
    tls: { ca, cert: issued.cert, key: issued.key },
  });
  const { revision } = await store.transact(putting('app/a'), options);
  await askWhoIsThere(server);
  t.is((await verdictOf(store.transact(putting('app/b'), options))).result, 'ok');
  const watching = new Watching(store, { span: { prefix: 'app/' }, fromRevision: revision });
  await watching.until(({ keys }) => keys.includes('app/b'));
  t.is((await verdictOf(store.transact(putting('other'), options))).result, 'denied permanent');
  await store.close();
});

for (const version of testedVersions) {
  test(`etcd ${version}: a token from before a restore, with which calls are not refused but left to wait, is renewed`, async (t) => {
    await using server = await startGuarded({ version });
    await askWhoIsThere(server);
    server.operator = ROOT;
    const lease = newLease();
    const early = connect(server.endpoint);
    await early.grant(lease, 60_000, options);
    const file = await backUp(server);
    /* What the token of the other one lies behind. It has to be more than a restored member does by itself. */
    for (let count = 0; count < 100; count += 1) await early.transact(putting('app/a'), options);
    const store = connect(server.endpoint);
    await store.transact(putting('app/a'), options);
    await store.renew(lease, options);
    const watching = new Watching(store, { span: { prefix: 'app/' }, fromRevision: 1n });
    await watching.until(({ keys }) => keys.length > 0);

    await restore([server], file);
    t.is((await watching.ended).error?.outcome, 'transient');
    const watch = () => new Watching(store, { span: { prefix: 'app/' }, fromRevision: 1n });
    const first = opened(watch);
    const tried: string[] = [];
    await until('an answer', async () => {
      /* The old token is left to wait, which is not waited for longer than that. A new one is. */
      const limit = tried.includes('timeout unknown') ? options : { timeoutMs: 2_000 };
      tried.push((await verdictOf(store.transact(putting('app/b'), limit))).result);
      return tried.at(-1) === 'ok';
    });
    /* The old connection may have broken under the first. Just at its end, the server may still say why it let it wait. */
    const left = tried.find((result) => !result.startsWith('unreachable'));
    t.regex(left ?? '', /^timeout/, 'the old token was refused at once');
    t.true(tried.filter((result) => result === 'timeout unknown').length <= 1, tried.join());
    t.is((await verdictOf(store.renew(lease, options))).result, 'ok');
    for (const each of [await first, watch()]) await each.until(({ keys }) => keys.includes('app/b'));
    await Promise.all([store.close(), early.close()]);
  });
}

test('asking for a token has a deadline too', async (t) => {
  await using server = await startGuarded();
  await askWhoIsThere(server);
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = connect(proxy.endpoint);
  /* Connected, and not yet known. */
  t.is((await verdictOf(store.range({ key: 'app/a' }, options))).result, 'ok');
  await store.close();
  const other = connect(proxy.endpoint);
  const connected = verdictOf(other.status({ timeoutMs: 30_000 }));
  proxy.dropResponses();
  const writing = await verdictOf(other.transact(putting('app/a'), { timeoutMs: 400 }));
  t.is(writing.result, 'timeout transient', 'nothing of the write was sent');
  const patient = verdictOf(other.transact(putting('app/b'), options));
  t.is((await verdictOf(other.range({ key: 'app/a' }, { timeoutMs: 100 }))).result, 'timeout transient');
  proxy.heal();
  t.is((await patient).result, 'ok', 'the impatient call took it along');
  t.is((await connected).result, 'ok');
  await other.close();
});
