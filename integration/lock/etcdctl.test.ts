import { once } from 'node:events';
import test from 'ava';
import { unpackToken } from '../../lib/index.ts';
import { accessTo, userOf } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { ClientProcess } from './support/client-process.ts';
import { Clients, storedKeys, testedVersions } from './support/clients.ts';
import { until } from './support/until.ts';

for (const version of testedVersions) {
  test(`etcdctl ${version} lock waits for a worker of ours, and runs its command after the release`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const observer = await clients.connect(server.endpoint);
    await using worker = await ClientProcess.start({
      endpoints: server.endpoint,
      namespace: 'test',
      ...accessTo(),
      instanceId: 'worker',
    });
    const token = await worker.call('acquire', 'a');
    const etcdctl = server.spawnEtcdctl(['lock', 'test/lock/a', '--', 'sh', '-c', 'echo ran'], { user: userOf() });
    let output = '';
    etcdctl.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const ended = once(etcdctl, 'exit');

    const report = await until('etcdctl in the queue', async () => {
      const seen = await observer.lock('a').inspect();
      return seen.waiters.length === 1 ? seen : undefined;
    });
    t.is(report?.holder?.instanceId, 'worker');
    t.is(report?.holder?.token, token);
    t.is(report?.waiters[0]?.instanceId, undefined);
    t.is(output, '');

    await worker.call('release');
    t.is((await ended)[0], 0);
    t.is(output, 'ran\n');
    await until('an empty queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 0);
  });

  test(`a worker of ours waits for etcdctl ${version} lock, and has the lock after it`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await clients.connect(server.endpoint);
    const etcdctl = server.spawnEtcdctl(['lock', 'test/lock/a'], { user: userOf() });
    /* It prints its key once it has the lock, and holds it until it is interrupted. */
    const [printed] = (await once(etcdctl.stdout.setEncoding('utf8'), 'data')) as [string];
    const [theirs] = await storedKeys(server, clients.prefix('a'));
    t.is(printed.trim(), theirs!.key);

    t.is(await coordinator.lock('a').tryAcquire(), undefined);
    let granted = false;
    const waiting = coordinator
      .lock('a')
      .acquire()
      .finally(() => (granted = true));
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);
    t.is((await coordinator.lock('a').inspect()).holder?.createRevision, theirs!.createRevision);
    t.false(granted);

    etcdctl.kill('SIGINT');
    const held = await waiting;
    t.true(unpackToken(held.token).revision > theirs!.createRevision);
    await held.release();
  });

  test(`the lock of an etcdctl ${version} that was killed moves on to us when its lease ends`, async (t) => {
    await using server = await EtcdServer.start({ version });
    await using clients = new Clients();
    const coordinator = await clients.connect(server.endpoint);
    const etcdctl = server.spawnEtcdctl(['lock', 'test/lock/a'], { user: userOf() });
    await once(etcdctl.stdout, 'data');
    const [theirs] = await storedKeys(server, clients.prefix('a'));
    const waiting = coordinator.lock('a').acquire();
    await until('two keys in the queue', async () => (await storedKeys(server, clients.prefix('a'))).length === 2);
    etcdctl.kill('SIGKILL');
    /* Which is sooner than by itself. */
    await server.etcdctl(['lease', 'revoke', theirs!.key.slice(clients.prefix('a').length)]);
    const held = await waiting;
    t.true(held.isHeld());
    await held.release();
  });
}
