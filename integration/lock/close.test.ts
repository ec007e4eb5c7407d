import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { ClosedError, LockLostError, type CoordinatorOptions } from '../../lib/index.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { freePorts } from '../servers/free-ports.ts';
import { killAtExit } from '../servers/server-process.ts';
import { brisk, Clients, storedKeys, testedVersions } from './support/clients.ts';
import { openStreams, RpcCounts } from './support/rpc-counts.ts';
import { until } from './support/until.ts';

/** Closing revokes the lease by one attempt. Where etcd answers, that is to be long enough for it. */
const patient = { request: { timeoutMs: 10_000, deadlineMs: 30_000 } };

for (const version of testedVersions) {
  test(`etcd ${version}: close waits for running work and releases after it, never under it, and leaves no key and no lease`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { ...patient, session: { ttlMs: 9_000 } });
    /* Its renewals do not come into what is counted. */
    const two = await clients.connect(server.endpoint, { ...patient, session: { ttlMs: 60_000 } });
    const order: string[] = [];
    let finish: (() => void) | undefined;
    const working = one.lock('a').with(async (held) => {
      await new Promise<void>((resolve) => (finish = resolve));
      t.true(held.isHeld());
      t.true(held.signal.reason instanceof ClosedError);
      order.push('work ended');
    });
    await until('the work to begin', () => finish !== undefined);
    const next = two.lock('a').acquire();
    void next.then(() => order.push('passed on'));
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);

    const closed = one.close({ drainMs: 60_000 }).then(() => order.push('closed'));
    await t.throwsAsync(one.lock('b').acquire(), { instanceOf: ClosedError });
    /* Closing stops no renewals while work runs. */
    const counts = await RpcCounts.start(server);
    await counts.until('Renewals', 2);
    t.deepEqual(order, []);
    finish?.();
    await Promise.all([working, closed]);
    t.is(order[0], 'work ended');
    await (await next).release();
    await two.close();
    t.deepEqual(await storedKeys(server, 'test/'), []);
    t.is(await server.etcdctl(['lease', 'list']), 'found 0 leases\n');
  });

  test(`etcd ${version}: work that outlives the drain keeps its key, and its lease, which nobody renews any more`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint);
    const two = await clients.connect(server.endpoint);
    const held = await one.lock('a').acquire();
    const { lease } = one.session!;
    const next = two.lock('a').acquire();
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);
    await one.close({ drainMs: 200 });
    t.is(one.health.state, 'closed');
    t.true(held.signal.aborted);
    t.false(held.isHeld());
    t.is((await storedKeys(server, clients.prefix('a'))).length, 2);
    await until('one stream of renewals', async () => (await openStreams(server)).get('LeaseKeepAlive') === 1);
    /* Sooner than it ends by itself. */
    await server.etcdctl(['lease', 'revoke', lease]);
    t.true((await next).token > held.token);
    await (await next).release();
    await until('no key of the closed one', async () => (await storedKeys(server, 'test/')).length === 1);
  });
}

test('work that loses its lock is waited for, and told so instead of "done"', async (t) => {
  await using server = await EtcdServer.start();
  await using clients = new Clients();
  const coordinator = await clients.connect(server.endpoint);
  let ended = false;
  const working = coordinator.lock('a').with(async (held) => {
    await server.etcdctl(['del', '--prefix', clients.prefix('a')]);
    await until('the loss', () => held.signal.aborted);
    ended = true;
    return 'done';
  });
  await t.throwsAsync(working, { instanceOf: LockLostError });
  t.true(ended);
});

const exits: readonly (readonly [string, string, (server: EtcdServer, port: number) => CoordinatorOptions])[] = [
  ['that never connected', 'idle', ({ endpoint }) => ({ ...patient, endpoints: endpoint })],
  [
    'whose etcd nobody answers for',
    'start',
    ({ endpoint, clientPort }, port) => ({ ...brisk, endpoints: endpoint.replace(String(clientPort), String(port)) }),
  ],
  ['that has worked', 'work', ({ endpoint }) => ({ ...patient, endpoints: endpoint })],
];
for (const [what, mode, options] of exits) {
  test(`a process ${what} ends by itself after close, with nothing left active`, async (t) => {
    await using server = await EtcdServer.start();
    const [port] = (await freePorts(1)) as [number];
    const child = startProcess(options(server, port), mode, '1000');
    await endsByItself(t, child);
    t.deepEqual(await storedKeys(server, ''), []);
  });
}

test('a process whose etcd is paused ends by itself after close, with nothing left active', async (t) => {
  await using server = await EtcdServer.start();
  server.pause();
  await endsByItself(t, startProcess({ ...brisk, endpoints: server.endpoint }, 'start', '500'));
});

const sessions = 'test/session/';

for (const paused of [false, true]) {
  test(`a process whose work ignores SIGTERM ends by itself after close${paused ? ', with etcd paused,' : ''} and keeps its key`, async (t) => {
    await using server = await EtcdServer.start();
    const child = startProcess({ ...(paused ? brisk : patient), endpoints: server.endpoint }, 'stuck', '300');
    await once(child.stdout, 'data');
    if (paused) server.pause();
    child.kill('SIGTERM');
    await endsByItself(t, child);
    if (paused) server.resume();
    t.is((await storedKeys(server, 'test/lock/a/')).length, 1);
    /* Nobody is there who could renew its lease, and all that it leaves is on that. */
    const [session] = await storedKeys(server, sessions);
    await server.etcdctl(['lease', 'revoke', session!.key.slice(sessions.length)]);
    t.deepEqual(await storedKeys(server, ''), []);
  });
}

type Child = ChildProcessByStdio<null, Readable, null>;

function startProcess(options: CoordinatorOptions, mode: string, drainMs: string): Child {
  const script = fileURLToPath(new URL('./support/short-lived.js', import.meta.url));
  const args = [script, JSON.stringify({ namespace: 'test', ...accessTo(), ...options }), mode, drainMs];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  killAtExit(child);
  return child;
}

/** With status 0, and having said that nothing was left. A process that does not end runs into the test's own timeout. */
async function endsByItself(t: ExecutionContext, child: Child): Promise<void> {
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [status] = (await once(child, 'close')) as [number | null];
  t.is(status, 0);
  t.deepEqual(JSON.parse(output.trim().split('\n').at(-1) ?? ''), []);
}
