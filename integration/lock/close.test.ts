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
import { Clients, shortLived, storedKeys, testedVersions, ttlMs } from './support/clients.ts';
import { RpcCounts } from './support/rpc-counts.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  test(`etcd ${version}: close waits for running work and releases after it, never under it, and leaves no key and no lease`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, { session: { ttlMs: 6_000 } });
    const two = await clients.connect(server.endpoint);
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

  test(`etcd ${version}: work that outlives the drain keeps its key until the lease ends by itself`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const one = await clients.connect(server.endpoint, shortLived);
    const two = await clients.connect(server.endpoint);
    const held = await one.lock('a').acquire();
    const next = two.lock('a').acquire();
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);
    await one.close({ drainMs: 200 });
    t.is(one.health.state, 'closed');
    t.true(held.signal.aborted);
    t.false(held.isHeld());
    t.is((await storedKeys(server, clients.prefix('a'))).length, 2);
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

const exits: readonly (readonly [string, string, (server: EtcdServer, port: number) => string, string])[] = [
  ['that never connected', 'idle', (server) => server.endpoint, '1000'],
  [
    'whose etcd nobody answers for',
    'start',
    ({ endpoint, clientPort }, port) => endpoint.replace(String(clientPort), String(port)),
    '1000',
  ],
  ['that has worked', 'work', (server) => server.endpoint, '1000'],
];
for (const [what, mode, endpoint, drainMs] of exits) {
  test(`a process ${what} ends by itself after close, with nothing left active`, async (t) => {
    await using server = await EtcdServer.start();
    const [port] = (await freePorts(1)) as [number];
    const child = startProcess({ endpoints: endpoint(server, port) }, mode, drainMs);
    await endsByItself(t, child);
    t.deepEqual(await storedKeys(server, ''), []);
  });
}

test('a process whose etcd is paused ends by itself after close, with nothing left active', async (t) => {
  await using server = await EtcdServer.start();
  server.pause();
  await endsByItself(t, startProcess({ endpoints: server.endpoint }, 'start', '500'));
});

for (const paused of [false, true]) {
  test(`a process whose work ignores SIGTERM ends by itself after close${paused ? ', with etcd paused,' : ''} and keeps its key`, async (t) => {
    await using server = await EtcdServer.start();
    const child = startProcess({ endpoints: server.endpoint, session: { ttlMs } }, 'stuck', '300');
    await once(child.stdout, 'data');
    if (paused) server.pause();
    child.kill('SIGTERM');
    await endsByItself(t, child);
    if (paused) server.resume();
    else t.is((await storedKeys(server, 'test/lock/a/')).length, 1);
    await until('the end of its lease', async () => (await storedKeys(server, '')).length === 0);
  });
}

type Child = ChildProcessByStdio<null, Readable, null>;

function startProcess(options: CoordinatorOptions, mode: string, drainMs: string): Child {
  const script = fileURLToPath(new URL('./support/short-lived.js', import.meta.url));
  const request = { timeoutMs: 500, deadlineMs: 1_500 };
  const args = [script, JSON.stringify({ namespace: 'test', request, ...accessTo(), ...options }), mode, drainMs];
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
