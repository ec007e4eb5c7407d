import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { newLease, putting, verdictOf, type Verdict } from './probe.ts';

const options = { timeoutMs: 10_000 };
const megabyte = 1024 * 1024;

test('what is too large is refused as such, and harms no other call', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const put = (bytes: number): Promise<Verdict> =>
    verdictOf(store.transact(putting('test/large', 'x'.repeat(bytes)), options));
  t.is((await put(1.4 * megabyte)).result, 'ok');
  t.is((await put(1.6 * megabyte)).result, 'too-large permanent', 'over the limit of requests');
  t.is((await put(3 * megabyte)).result, 'too-large permanent', 'over the limit of messages');
  t.is((await verdictOf(store.range({ key: 'test/large' }, options))).result, 'ok');
  const many = Array.from({ length: 129 }, (_, index) => putting(`test/many/${index}`).then).flat();
  t.is((await verdictOf(store.transact({ compare: [], then: many }, options))).result, 'too-large permanent');
  await store.close();
});

test('an answer far over the four megabytes that gRPC allows by default is taken', async (t) => {
  await using server = await EtcdServer.start();
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  for (let index = 0; index < 24; index += 1) {
    await store.transact(putting(`test/large/${index}`, 'x'.repeat(megabyte)), options);
  }
  const { entries } = await store.range({ prefix: 'test/large/' }, options);
  t.is(
    entries.reduce((sum, { value }) => sum + value.length, 0),
    24 * megabyte,
  );
  await store.close();
});

test('with the space quota exceeded writes say so, while reading, renewing, deleting and revoking go on', async (t) => {
  await using server = await EtcdServer.start({ extraArgs: ['--quota-backend-bytes', String(4 * megabyte)] });
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  const lease = newLease();
  await store.grant(lease, 60_000, options);
  await store.transact({ compare: [], then: [{ type: 'put', key: 'test/held', value: '', lease }] }, options);
  let filled: Verdict;
  do {
    filled = await verdictOf(store.transact(putting(`test/fill/${newLease()}`, 'x'.repeat(megabyte)), options));
  } while (filled.result === 'ok');
  t.is(filled.result, 'quota permanent');
  t.is((await verdictOf(store.transact(putting('test/small'), options))).result, 'quota permanent');
  t.is((await verdictOf(store.grant(newLease(), 60_000, options))).result, 'quota permanent');

  t.is((await verdictOf(store.range({ key: 'test/held' }, options))).result, 'ok');
  t.is((await store.renew(lease, options)).ttlMs, 60_000);
  const deleting = { compare: [], then: [{ type: 'delete', key: 'test/held' }] } as const;
  t.is((await verdictOf(store.transact(deleting, options))).result, 'ok');
  t.is((await verdictOf(store.revoke(lease, options))).result, 'ok');
  await store.close();
});
