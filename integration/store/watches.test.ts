import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { follow, revisionOf } from '../../lib/store/follow.ts';
import type { Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { newLease, putting, verdictOf, Watching } from './probe.ts';

const patient = { timeoutMs: 10_000 };

async function started(server: EtcdServer, method: string): Promise<number> {
  return (await server.startedRpcs()).get(method) ?? 0;
}

test('any number of watches share one stream, and each gets its own events', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const watches = Array.from(
    { length: 200 },
    (_, index) => new Watching(store, { span: { prefix: `test/w/${index}/` }, fromRevision: revision + 1n }),
  );
  await Promise.all(watches.map((watching) => watching.until(({ batches }) => batches.length > 0)));
  for (let index = 0; index < watches.length; index += 1) await store.transact(putting(`test/w/${index}/key`), patient);
  await Promise.all(watches.map((watching) => watching.until(({ keys }) => keys.length > 0)));
  t.deepEqual(
    watches.map(({ keys }) => keys),
    watches.map((_, index) => [`test/w/${index}/key`]),
  );
  t.is(await started(server, 'Watch'), 1);
  await store.close();
});

test('a watch that leaves takes nobody along, and the last one ends the stream', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const watch = (): Watching => new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: revision + 1n });
  const [leaving, staying] = [watch(), watch()];
  await Promise.all([leaving, staying].map((each) => each.until(({ batches }) => batches.length > 0)));
  t.is((await leaving.stop()).result, 'cancelled transient');
  await store.transact(putting('test/w/a'), patient);
  await staying.until(({ keys }) => keys.length > 0);
  t.deepEqual([leaving.keys, staying.keys], [[], ['test/w/a']]);

  await staying.stop();
  const watchers = async (): Promise<number | undefined> =>
    (await server.metrics().catch(() => undefined))?.get('etcd_debugging_mvcc_watcher_total');
  while ((await watchers()) !== 0);
  const again = watch();
  await again.until(({ keys }) => keys.length > 0);
  t.deepEqual(again.keys, ['test/w/a']);
  t.is(await started(server, 'Watch'), 2);
  await store.close();
});

test('a cut ends every watch on the stream as transient, and new ones work after the healing', async (t) => {
  await using server = await EtcdServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const watch = (): Watching => new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: revision + 1n });
  const watches = [watch(), watch(), watch()];
  await Promise.all(watches.map((each) => each.until(({ batches }) => batches.length > 0)));
  proxy.cut();
  for (const { ended } of watches) t.is((await ended).result, 'unreachable transient');
  t.is((await watch().ended).result, 'unreachable transient');

  proxy.heal();
  const isOpen = (each: Watching): Promise<boolean> =>
    each
      .until(({ batches }) => batches.length > 0)
      .then(
        () => true,
        () => false,
      );
  let healed = watch();
  while (!(await isOpen(healed))) healed = watch();
  await healed.stop();
  await store.close();
});

test('a watch on a silent connection ends while the silence lasts', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const { revision } = await store.range({ key: 'test/nothing' }, patient);
  const open = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: revision + 1n });
  await open.until(({ batches }) => batches.length > 0);
  server.pause();
  const fresh = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const opening = new Watching(fresh, { span: { prefix: 'test/w/' }, fromRevision: revision + 1n });
  const [wasOpen, neverOpened] = await Promise.all([open.ended, opening.ended]);
  t.is(wasOpen.error?.outcome, 'transient');
  t.is(neverOpened.result, 'timeout transient');
  server.resume();
  await Promise.all([store.close(), fresh.close()]);
});

test('revisions that come in fragments are delivered whole and once', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const megabyte = 'x'.repeat(1024 * 1024);
  const lease = newLease();
  await store.grant(lease, 600_000, patient);
  const first = await store.transact(putting('test/w/0', megabyte), patient);
  for (let index = 1; index < 8; index += 1) await store.transact(putting(`test/w/${index}`, megabyte), patient);

  /* 2.6 MB of deletes in one revision, which etcd's limit of requests cannot keep from being made. */
  const names = Array.from({ length: 6_400 }, (_, index) => `test/w/leased/${'k'.repeat(400)}/${index}`);
  const groups = Array.from({ length: 64 }, (_, index) => names.slice(index * 100, index * 100 + 100));
  await Promise.all(
    groups.map((group) =>
      store.transact({ compare: [], then: group.map((key) => ({ type: 'put', key, value: '', lease })) }, patient),
    ),
  );
  await store.revoke(lease, patient);
  const last = await store.transact(putting('test/w/last'), patient);

  const watching = new Watching(store, { span: { prefix: 'test/w/' }, fromRevision: first.revision });
  await watching.until(({ batches }) =>
    batches.some(({ events, revision }) => events.length > 0 && revision === last.revision),
  );
  const events = watching.batches.flatMap((batch) => batch.events);
  t.is(events.length, 8 + 2 * names.length + 1);
  t.true(events.slice(0, 8).every((event) => event.type === 'put' && event.entry.value === megabyte));
  const revisions = watching.batches.flatMap((batch) => [...new Set(batch.events.map(revisionOf))]);
  t.deepEqual(revisions, [...new Set(revisions)], 'a revision was torn apart');
  await store.close();
});

for (const version of etcdVersions) {
  test(`etcd ${version}: 5,000 puts are followed across random cuts, each once and in order`, async (t) => {
    const random = new SeededRandom(7);
    await using server = await EtcdServer.start({ version });
    await using proxy = await FaultProxy.start(server.endpoint);
    const store = createEtcdStore(systemRuntime(), { endpoints: [proxy.endpoint], ...accessTo() });
    const writer = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
    const { revision } = await writer.range({ key: 'test/nothing' }, patient);
    const stop = new AbortController();
    const written = 5_000;

    const keys: string[] = [];
    const read = async (): Promise<void> => {
      const batches = follow(
        systemRuntime(),
        store,
        { span: { prefix: 'test/f/' }, fromRevision: revision + 1n },
        stop.signal,
      );
      for await (const { events } of batches) {
        for (const event of events) keys.push(event.type === 'put' ? event.entry.key : event.key);
        if (keys.length >= written) return;
      }
    };
    const reading = read();
    const write = async (): Promise<void> => {
      for (let index = 0; index < written; index += 50) {
        const group = Array.from({ length: 50 }, (_, offset) =>
          write1(writer, `test/f/${String(index + offset).padStart(5, '0')}`),
        );
        await Promise.all(group);
        if (random.uniform() < 0.3) {
          proxy.cut();
          proxy.heal();
        }
      }
    };
    await write();
    await reading;
    t.deepEqual(
      keys.toSorted(),
      Array.from({ length: written }, (_, index) => `test/f/${String(index).padStart(5, '0')}`),
    );
    stop.abort();
    await Promise.all([store.close(), writer.close()]);
  });
}

async function write1(store: Store, key: string): Promise<void> {
  const { error } = await verdictOf(store.transact(putting(key), patient));
  if (error !== undefined) throw error;
}
