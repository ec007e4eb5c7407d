import test from 'ava';
import { difference } from './difference.ts';
import { Tally } from './tally.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

const alike: readonly (readonly [method: string, theirs: unknown, ours: unknown])[] = [
  ['range', { kvs: [{ key: bytes('a') }], count: '1' }, { kvs: [{ key: bytes('a') }], count: '1' }],
  ['range', { header: { member_id: '7', revision: '2' } }, { header: { member_id: '8', revision: '2' } }],
  ['leaseTimeToLive', { TTL: '599', keys: [bytes('a'), bytes('b')] }, { TTL: '600', keys: [bytes('b'), bytes('a')] }],
  ['leaseTimeToLive', { TTL: '0', grantedTTL: '5' }, { TTL: '1', grantedTTL: '5' }],
  ['alarm', { header: null, alarms: [] }, { header: { revision: '2' }, alarms: [] }],
];
for (const [method, theirs, ours] of alike) {
  test(`answers to ${method} are alike: ${JSON.stringify(theirs)} and ${JSON.stringify(ours)}`, (t) => {
    t.is(difference(method, theirs, ours), undefined);
  });
}

const different: readonly (readonly [method: string, theirs: unknown, ours: unknown, at: string])[] = [
  ['range', { kvs: [{ key: bytes('a') }] }, { kvs: [{ key: bytes('b') }] }, 'range.kvs.0.key: '],
  ['range', { kvs: [] }, { kvs: [{ key: bytes('b') }] }, 'range.kvs: '],
  ['range', { header: { member_id: '7' } }, { header: { member_id: '0' } }, 'range.header.member_id: '],
  ['range', { more: false }, { more: false, count: '1' }, 'range: '],
  ['put', { prev_kv: null }, { prev_kv: { key: bytes('a') } }, 'put.prev_kv: '],
  ['put', { refused: { code: 3, details: 'x' } }, { refused: { code: 3, details: 'y' } }, 'put.refused.details: '],
  ['put', { refused: { code: 3, details: 'x' } }, { message: {} }, 'put: '],
  ['leaseGrant', { TTL: '599' }, { TTL: '600' }, 'leaseGrant.TTL: '],
  ['leaseTimeToLive', { TTL: '-1' }, { TTL: '600' }, 'leaseTimeToLive.TTL: '],
  ['leaseTimeToLive', { TTL: '-1', grantedTTL: '0' }, { TTL: '0', grantedTTL: '5' }, 'leaseTimeToLive.grantedTTL: '],
  ['leaseTimeToLive', { keys: [bytes('a')] }, { keys: [bytes('b')] }, 'leaseTimeToLive.keys.0: '],
  ['alarm', { header: { revision: '3' } }, { header: { revision: '2' } }, 'alarm.header.revision: '],
  ['watch', undefined, { events: [] }, 'watch: etcd says nothing'],
];
for (const [method, theirs, ours, at] of different) {
  test(`answers to ${method} differ: ${JSON.stringify(theirs)} and ${JSON.stringify(ours)}`, (t) => {
    t.true(difference(method, theirs, ours)?.startsWith(at));
  });
}

test('a run that compared nothing has compared too little of everything', (t) => {
  const missing = new Tally().shortfalls(50_000).join('\n');
  for (const what of [
    'requests',
    'txn',
    'compact',
    'request_put',
    'key not found',
    'message larger',
    'leases',
    'events',
  ])
    t.true(missing.includes(what), what);
});
