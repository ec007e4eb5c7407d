import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import type { EtcdStoreOptions } from '../../lib/store/etcd/etcd-store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { NameServer } from './name-server.ts';

const run = promisify(execFile);

/** Far above what a process needs to start and end on a busy machine, and far below any timeout in the store. */
const patienceMs = 20_000;

/**
 * Runs `script` in a process of its own, with a `store` of these options. Rejects if the process does not end by itself. `spoken` is called
 * when it has printed something.
 */
async function process(options: EtcdStoreOptions, script: string, spoken: () => void = () => {}): Promise<string> {
  const lib = (file: string): string => JSON.stringify(new URL(`../../lib/${file}`, import.meta.url).href);
  const source = `
    const { createEtcdStore } = await import(${lib('store/etcd/etcd-store.js')});
    const { systemRuntime } = await import(${lib('runtime/runtime.js')});
    const store = createEtcdStore(systemRuntime(), ${JSON.stringify(options)});
    const reason = (error) => error.reason;
    ${script}`;
  const running = run(globalThis.process.execPath, ['--input-type=module', '--eval', source], {
    timeout: patienceMs,
    killSignal: 'SIGKILL',
  });
  running.child.stdout?.once('data', spoken);
  const { stdout } = await running;
  return stdout.trim();
}

const nowhere = { endpoints: ['http://127.0.0.1:1'] };

const busy = `
  const options = { timeoutMs: 60_000 };
  await store.range({ key: 'test/a' }, options);
  await store.grant(7n, 60_000, options);
  await store.renew(7n, options);
  const watch = store.watch({ span: { prefix: 'test/' }, fromRevision: 1n }, new AbortController().signal)[Symbol.asyncIterator]();
  await watch.next();`;

test('a process that never used its store ends', async (t) => {
  t.is(await process(nowhere, ''), '');
});

test('a process ends once its store is closed, with calls, renewals and watches under way', async (t) => {
  await using server = await EtcdServer.start();
  const output = await process(
    { endpoints: [server.endpoint], ...accessTo() },
    `${busy}
    const ended = [watch.next(), store.range({ key: 'test/a' }, options), store.renew(7n, options)].map((each) => each.catch(reason));
    await store.close();
    console.log((await Promise.all(ended)).join());`,
  );
  t.is(output, 'closed,closed,closed');
});

test('a process ends once its store is closed, though nothing answers', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const working = await process(
    { endpoints: [proxy.endpoint], ...accessTo() },
    `${busy}
    console.log('ready');
    while (await store.range({ key: 'test/a' }, { timeoutMs: 300 }).then(() => true, () => false));
    const late = [store.range({ key: 'test/a' }, options), store.renew(7n, options)].map((each) => each.catch(reason));
    await store.range({ key: 'test/a' }, { timeoutMs: 300 }).catch(reason);
    await store.close();
    await Promise.all(late);`,
    () => proxy.blackhole(),
  );
  t.is(working, 'ready');

  const connecting = await process(
    { endpoints: [proxy.endpoint], ...accessTo() },
    `console.log(await store.range({ key: 'test/a' }, { timeoutMs: 300 }).catch(reason));
    await store.close();`,
  );
  t.is(connecting, 'timeout');
});

test('a process ends once its store is closed, though a question to DNS is under way', async (t) => {
  await using dns = await NameServer.start();
  dns.isSilent = true;
  const output = await process(
    nowhere,
    `const { setServers } = await import('node:dns/promises');
    setServers([${JSON.stringify(dns.address)}]);
    const discovery = { srv: 'etcd.test', members: true, everyMs: 60_000 };
    const lost = createEtcdStore(systemRuntime(), { endpoints: [], discovery });
    console.log(await lost.status({ timeoutMs: 300 }).catch(reason));
    const late = lost.status({ timeoutMs: 60_000 }).catch(reason);
    await lost.close();
    console.log(await late);`,
  );
  t.is(output, 'timeout\nclosed');
  t.true(dns.questions > 0);
});
