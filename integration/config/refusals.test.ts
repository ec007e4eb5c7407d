import test from 'ava';
import { AccessDeniedError, CoordinationUnavailableError, createCoordinator } from '../../lib/index.ts';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { accessTo, lockUp, ROOT } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';

const root = ['--user', ROOT];
const freshnessMs = 200;

for (const version of ['3.4', '3.5.30'] as const) {
  test(`etcd ${version}: without its permission a write is denied, and reads keep the last value, with its age`, async (t) => {
    await using server = await EtcdServer.start({ version, access: 'plain' });
    await lockUp(server, ['test']);
    await using coordinator = createCoordinator({
      endpoints: server.endpoint,
      namespace: 'test',
      auth: { username: 'test', password: 'password' },
    });
    const config = coordinator.config<number>('limit', { freshnessMs });
    const cache = coordinator.cache('r/', { freshnessMs });
    await Promise.all([config.ready(), cache.ready()]);
    await config.set(1);
    await cache.put('a', '1');

    await server.etcdctl([...root, 'role', 'revoke-permission', 'test', '--prefix=true', 'test/']);
    await server.etcdctl([...root, 'role', 'grant-permission', 'test', '--prefix=true', 'read', 'test/']);
    await t.throwsAsync(config.set(2), { instanceOf: AccessDeniedError });
    await t.throwsAsync(config.delete(), { instanceOf: AccessDeniedError });
    await t.throwsAsync(cache.put('a', '2'), { instanceOf: AccessDeniedError });
    t.deepEqual([config.get()?.value, config.get()?.version, cache.get('a')?.value], [1, 1, '1']);

    await server.etcdctl([...root, 'role', 'revoke-permission', 'test', '--prefix=true', 'test/']);
    while (config.get()?.source === 'live') await server.metrics();
    t.deepEqual([config.get()?.value, config.get()?.source], [1, 'stale']);
    t.true(config.get()!.ageMs > 2 * freshnessMs);

    await server.etcdctl([...root, 'role', 'grant-permission', 'test', '--prefix=true', 'readwrite', 'test/']);
    await coordinator.ready({ timeoutMs: 20_000 });
    t.is((await config.set(3)).version, 2);
    while (config.get()?.source !== 'live') await server.metrics();
    t.is(config.get()?.value, 3);
  });

  test(`etcd ${version}: over its space quota a write says so, while reads go on, live`, async (t) => {
    await using server = await EtcdServer.start({ version, extraArgs: ['--quota-backend-bytes', '4194304'] });
    const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    t.teardown(() => store.close());
    await using coordinator = createCoordinator({ endpoints: server.endpoint, namespace: 'test', ...accessTo() });
    const config = coordinator.config<number>('limit', { freshnessMs });
    const cache = coordinator.cache('r/', { freshnessMs });
    await Promise.all([config.ready(), cache.ready()]);
    await config.set(1);
    await cache.put('a', '1');
    const fill = { compare: [], then: [{ type: 'put', key: 'test/fill', value: 'x'.repeat(1024 * 1024) }] } as const;
    const isFull = (): Promise<boolean> =>
      store.transact(fill, { timeoutMs: 5_000 }).then(
        () => false,
        (error: unknown) => (error as { readonly reason?: string }).reason === 'quota',
      );
    while (!(await isFull())) continue;

    const quota = { instanceOf: CoordinationUnavailableError, message: /quota/ };
    await t.throwsAsync(config.set(2), quota);
    await t.throwsAsync(
      config.update(() => 2),
      quota,
    );
    await t.throwsAsync(cache.put('a', '2'), quota);

    const fullAt = performance.now();
    const isProvedSince = (entry: { readonly source: string; readonly ageMs: number } | undefined): boolean =>
      entry?.source === 'live' && entry.ageMs < performance.now() - fullAt;
    while (!isProvedSince(config.get())) await server.metrics();
    while (!isProvedSince(cache.get('a'))) await server.metrics();
    t.deepEqual([config.get()?.value, cache.get('a')?.value], [1, '1']);
    t.is((await config.history()).length, 1);
    t.is((await cache.read('a', { consistency: 'linearizable' }))?.value, '1');
    t.is(coordinator.health.state, 'connected');
  });
}
