import { once } from 'node:events';
import test from 'ava';
import { Etcd3 } from 'etcd3';
import { startEmbeddedEtcd } from '../../lib/testing/index.ts';
import { until } from '../lock/support/until.ts';

// The npm package etcd3, as its users use it, against the embedded etcd.

test('puts, gets, counts and deletes, in every order', async (t) => {
  await using client = await connect();
  const { etcd3 } = client;
  await etcd3.put('a/1').value('x');
  await etcd3.put('a/2').value('y');
  await etcd3.put('b').value(Buffer.from([0, 255, 128]));
  t.is(await etcd3.get('a/1').string(), 'x');
  t.deepEqual(await etcd3.get('b').buffer(), Buffer.from([0, 255, 128]));
  t.is(await etcd3.get('missing').string(), null);
  t.deepEqual(await etcd3.getAll().prefix('a/').strings(), { 'a/1': 'x', 'a/2': 'y' });
  t.deepEqual(await etcd3.getAll().sort('Value', 'Descend').limit(1).prefix('a/').keys(), ['a/2']);
  t.is(await etcd3.getAll().prefix('a/').count(), 2);
  t.is((await etcd3.put('a/1').value('z').getPrevious()).value.toString(), 'x');
  await etcd3.put('a/1').touch();
  t.is(await etcd3.get('a/1').string(), 'z');
  t.is((await etcd3.delete().prefix('a/').exec()).deleted, '2');
  t.is(await etcd3.getAll().prefix('').count(), 1);
});

test('transactions compare and branch', async (t) => {
  await using client = await connect();
  const { etcd3 } = client;
  await etcd3.put('a').value('1');
  const swap = (from: string, to: string) =>
    etcd3.if('a', 'Value', '==', from).then(etcd3.put('a').value(to)).else(etcd3.get('a')).commit();
  t.true((await swap('1', '2')).succeeded);
  const failed = await swap('1', '3');
  t.false(failed.succeeded);
  t.is(failed.responses[0]?.response_range?.kvs[0]?.value.toString(), '2');
});

test('watches see puts and deletes, from the past on as well', async (t) => {
  await using client = await connect();
  const { etcd3 } = client;
  await etcd3.put('w/a').value('0');
  const watcher = await etcd3.watch().prefix('w/').startRevision('2').create();
  const seen: string[] = [];
  watcher.on('put', ({ key, value }) => seen.push(`put ${key.toString()}=${value.toString()}`));
  watcher.on('delete', ({ key }) => seen.push(`delete ${key.toString()}`));
  await etcd3.put('w/a').value('1');
  await etcd3.delete().key('w/a');
  await until('three events', () => seen.length === 3);
  t.deepEqual(seen, ['put w/a=0', 'put w/a=1', 'delete w/a']);
  await watcher.cancel();
});

test('a lease is kept alive, and its keys go with it', async (t) => {
  await using client = await connect();
  const { etcd, etcd3 } = client;
  const lease = etcd3.lease(6);
  await lease.put('leased').value('x');
  const kept = once(lease, 'keepaliveSucceeded');
  await kept;
  const lost = once(lease, 'lost');
  etcd.revokeLease(BigInt(await lease.grant()));
  t.is(await etcd3.get('leased').string(), null);
  await lost;
});

test('a lock excludes, and is free after its release', async (t) => {
  await using client = await connect();
  const { etcd3 } = client;
  const first = await etcd3.lock('resource').ttl(5).acquire();
  await t.throwsAsync(etcd3.lock('resource').ttl(5).acquire());
  await first.release();
  const second = await etcd3.lock('resource').ttl(5).acquire();
  await second.release();
});

test('an election has one leader, and the next one after it resigns', async (t) => {
  await using client = await connect();
  const { etcd3 } = client;
  const [one, two] = [etcd3.election('crown', 5), etcd3.election('crown', 5)];
  const first = one.campaign('one');
  await once(first, 'elected');
  const second = two.campaign('two');
  second.on('error', () => undefined);
  const elected = once(second, 'elected');
  t.is(await one.leader(), 'one');
  await first.resign();
  await elected;
  t.is(await one.leader(), 'two');
  await second.resign();
});

async function connect() {
  const etcd = await startEmbeddedEtcd();
  const etcd3 = new Etcd3({ hosts: etcd.endpoint });
  return {
    etcd,
    etcd3,
    async [Symbol.asyncDispose](): Promise<void> {
      etcd3.close();
      await etcd.stop();
    },
  };
}
