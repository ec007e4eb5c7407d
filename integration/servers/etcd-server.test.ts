import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { until } from '../lock/support/until.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { EtcdServer, parseMetrics } from './etcd-server.ts';

test('a server answers etcdctl, and is gone with its data when disposed', async (t) => {
  const server = await EtcdServer.start();
  await server.etcdctl(['put', 'greeting', 'hello']);
  t.is(await server.etcdctl(['get', 'greeting', '--print-value-only']), 'hello\n');

  const { pid, dataDir } = server;
  await server[Symbol.asyncDispose]();
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  t.false(existsSync(dataDir));
});

for (const version of etcdVersions) {
  test(`etcd ${version} can be had by name`, async (t) => {
    await using server = await EtcdServer.start({ version });
    const { version: served } = server.binaries;
    t.true(served.startsWith(version === '3.5.30' ? '3.' : version), served);
    t.true((await server.etcdctl(['version'])).startsWith(`etcdctl version: ${served}\n`));
    t.is(await server.etcdctl(['put', 'written', 'by its own etcdctl']), 'OK\n');
  });
}

test('data, endpoint and revision survive a kill and a restart', async (t) => {
  await using server = await EtcdServer.start();
  const { endpoint, pid } = server;
  await server.etcdctl(['put', 'kept', 'yes']);
  await server.stop({ signal: 'SIGKILL' });
  t.false(server.isRunning);

  await server.restart();
  t.is(server.endpoint, endpoint);
  t.not(server.pid, pid);
  t.is(await server.etcdctl(['get', 'kept', '--print-value-only']), 'yes\n');
});

test('a paused server answers nothing until it is resumed', async (t) => {
  await using server = await EtcdServer.start();
  server.pause();
  await t.throwsAsync(server.etcdctl(['--command-timeout', '300ms', '--dial-timeout', '300ms', 'get', 'any']));
  server.resume();
  await t.notThrowsAsync(server.etcdctl(['get', 'any']));
});

test('a paused server can be stopped', async (t) => {
  await using server = await EtcdServer.start();
  server.pause();
  await server.stop();
  t.false(server.isRunning);
});

test('started RPCs are counted by method', async (t) => {
  await using server = await EtcdServer.start();
  const before = await server.startedRpcs();
  await server.etcdctl(['put', 'a', '1']);
  await server.etcdctl(['put', 'b', '2']);
  await server.etcdctl(['get', 'a']);
  const after = await server.startedRpcs();
  const begun = (method: string): number => (after.get(method) ?? 0) - (before.get(method) ?? 0);
  t.deepEqual([begun('Put'), begun('Range'), begun('Txn')], [2, 1, 0]);
});

test('an etcdctl that goes on can be spawned beside the server', async (t) => {
  await using server = await EtcdServer.start();
  const watcher = server.spawnEtcdctl(['watch', 'seen']);
  let printed = '';
  watcher.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  // The watch is there when the server counts it.
  while ((await server.metrics()).get('etcd_debugging_mvcc_watcher_total') !== 1) await sleep(20);
  await server.etcdctl(['put', 'seen', 'now']);
  /* It prints each line by itself. */
  await until('the whole event', () => printed.includes('now\n'));
  t.is(printed, 'PUT\nseen\nnow\n');
  watcher.kill();
});

test('metrics are read with their labels and comments are skipped', (t) => {
  const samples = parseMetrics('# HELP a b\na_total{x="y z"} 3\nb 1.5e+06\n');
  t.deepEqual(
    [...samples],
    [
      ['a_total{x="y z"}', 3],
      ['b', 1_500_000],
    ],
  );
});
