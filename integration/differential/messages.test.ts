import test from 'ava';
import type { EtcdService } from '../../lib/store/etcd/protocol.ts';
import { etcdVersions } from '../provision/etcd.ts';
import { difference } from './difference.ts';
import { MANY_LOOKS, Pair } from './pair.ts';

// Messages at the edges of etcd's protocol, one by one: the embedded etcd and a real one must answer with the same, field by field.

const MIB = 1024 * 1024;
const key = Buffer.from('k');
const end = Buffer.from([0]);

/** Single messages whose answers are worth a look, mostly refusals. They are sent in this order. */
const messages: readonly (readonly [service: EtcdService, method: string, request: object])[] = [
  ['KV', 'compact', { revision: '9' }],
  ['KV', 'compact', { revision: '-1' }],
  ['KV', 'put', { value: key }],
  ['KV', 'put', { key, value: key, ignore_value: true }],
  ['KV', 'put', { key, lease: '5', ignore_lease: true }],
  ['KV', 'put', { key, ignore_value: true }],
  ['KV', 'put', { key, lease: '5' }],
  ['KV', 'put', { key, lease: '5', ignore_value: true }],
  ['KV', 'txn', { success: [{ request_put: { key, lease: '5', ignore_value: true } }] }],
  ['KV', 'put', { value: Buffer.alloc(1.6 * MIB) }],
  ['KV', 'put', { key, value: Buffer.alloc(1.6 * MIB), ignore_value: true }],
  ['KV', 'txn', { success: [{ request_put: { value: Buffer.alloc(1.6 * MIB) } }] }],
  ['KV', 'put', { key, value: Buffer.alloc(1.5 * MIB - 1_000) }],
  ['KV', 'put', { key, value: Buffer.alloc(1.5 * MIB - 10) }],
  ['KV', 'put', { key, value: Buffer.alloc(1.6 * MIB) }],
  ['KV', 'put', { key, value: Buffer.alloc(2.5 * MIB) }],
  ['KV', 'range', { range_end: end }],
  ['KV', 'range', { key, revision: '-4' }],
  ['KV', 'range', { key, revision: '99' }],
  ['KV', 'range', { key, range_end: Buffer.from('a') }],
  ['KV', 'txn', {}],
  ['KV', 'txn', { success: [{}] }],
  ['KV', 'txn', { success: [{ request_txn: {} }] }],
  ['KV', 'txn', { compare: [{ key, target: 'Value', value: Buffer.alloc(1.7 * MIB) }] }],
  ['KV', 'txn', { compare: [{ target: 'Version' }] }],
  ['KV', 'txn', { success: Array.from({ length: 129 }, () => ({ request_range: { key } })) }],
  ['KV', 'txn', { success: [{ request_put: { key } }, { request_delete_range: { key, range_end: end } }] }],
  ['KV', 'txn', { success: [{ request_put: { key } }, { request_txn: { failure: [{ request_put: { key } }] } }] }],
  ['Lease', 'leaseGrant', { ID: '-5', TTL: '10' }],
  ['Lease', 'leaseGrant', { ID: '6', TTL: '0' }],
  ['Lease', 'leaseGrant', { ID: '6', TTL: '10' }],
  ['Lease', 'leaseGrant', { ID: '7', TTL: '9000000001' }],
  ['Lease', 'leaseTimeToLive', { ID: '77', keys: true }],
  ['Lease', 'leaseTimeToLive', { ID: '-5' }],
  ['Lease', 'leaseRevoke', { ID: '77' }],
  ['Lease', 'leaseRevoke', { ID: '6' }],
  ['Lease', 'leaseLeases', {}],
  ['Auth', 'authenticate', { name: 'a', password: 'b' }],
  ['Cluster', 'memberList', {}],
  ['Maintenance', 'status', {}],
  ['Maintenance', 'alarm', {}],
];

for (const version of etcdVersions) {
  test.serial(`etcd ${version} and the embedded one answer single messages alike`, async (t) => {
    await using pair = await Pair.start(version);
    for (const [service, method, request] of messages) {
      const [theirs, ours] = await pair.callEach({ service, method, request });
      t.is(difference(method, theirs, ours), undefined);
    }
  });

  test.serial(`etcd ${version} and the embedded one manage the watches of a stream alike`, async (t) => {
    await using pair = await Pair.start(version);
    const b = Buffer.from('b');
    for (const value of ['1', '2', '3'])
      await pair.call({ service: 'KV', method: 'put', request: { key, value: Buffer.from(value) } });
    await pair.call({ service: 'KV', method: 'compact', request: { revision: '3' } });
    using streams = pair.openWatches();
    using others = pair.openWatches();
    const create = (watch_id: number, rest: object): object => ({ create_request: { key, watch_id, ...rest } });
    for (const request of [
      create(0, {}),
      create(0, { start_revision: '3', prev_kv: true }),
      create(7, { start_revision: '2' }),
      create(7, { start_revision: '4', prev_kv: true }),
      create(7, {}),
      create(8, { range_end: b }),
      create(9, { range_end: end, key: Buffer.alloc(0), filters: ['Noput'] }),
      { cancel_request: { watch_id: '99' } },
      create(-9, { start_revision: '6' }),
    ]) {
      streams.send(request);
      // One after the other, since a stream of etcd's answers control messages and events in no order.
      await streams.agree();
    }
    await pair.call({ service: 'KV', method: 'put', request: { key, value: b } });
    await pair.call({ service: 'KV', method: 'deleteRange', request: { key } });
    streams.send({ cancel_request: { watch_id: '-9' } });
    await streams.agree();
    await pair.call({ service: 'KV', method: 'put', request: { key, value: b } });
    await streams.agree(MANY_LOOKS);
    t.is(streams.ours.messages.size, 6);

    for (const request of [create(5, { start_revision: '3' }), { progress_request: {} }]) {
      others.send(request);
      await others.agree();
    }
    t.is(others.ours.messages.get('-1')?.length, 1);
    if (version !== '3.5.30') return;
    // Older ones report progress also while one of the watches is ahead, or was cancelled by a compaction (3.4).
    for (const request of [create(6, { start_revision: '99' }), { progress_request: {} }]) {
      others.send(request);
      await others.agree();
    }
    streams.send({ progress_request: {} });
    await streams.agree(MANY_LOOKS);
    t.is(others.ours.messages.get('-1')?.length, 1);
  });

  test.serial(`etcd ${version} and the embedded one cut a long history into the same messages`, async (t) => {
    await using pair = await Pair.start(version);
    const put = (value: Buffer): object => ({ request_put: { key, value } });
    for (let count = 0; count < 1_010; count += 1)
      await pair.call({ service: 'KV', method: 'txn', request: { success: [put(Buffer.from('1'))] } });
    for (let count = 0; count < 6; count += 1) {
      const value = Buffer.alloc(0.4 * MIB);
      await pair.call({ service: 'KV', method: 'put', request: { key, value } });
    }
    using streams = pair.openWatches();
    streams.send({ create_request: { key, watch_id: '1', start_revision: '2', fragment: true } });
    await streams.agree();
    streams.send({ create_request: { key, watch_id: '2', start_revision: '2' } });
    await streams.agree(MANY_LOOKS);
    t.deepEqual(
      [...streams.ours.messages.values()].map(({ length }) => length),
      [4, 3],
    );
  });
}
