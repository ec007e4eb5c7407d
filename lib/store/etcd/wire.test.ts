import test from 'ava';
import type { IKeyValue, IRangeResponse, IResponseHeader, IResponseOp, ITxnResponse } from 'etcd3';
import * as fc from 'fast-check';
import { StoreError } from '../store-error.ts';
import type { Compare, Operation, RangeRequest, Span, Transaction } from '../store.ts';
import {
  fromEvent,
  fromTransaction,
  isWriting,
  prefixEnd,
  revisionOf,
  toRange,
  toRangeRequest,
  toTransaction,
} from './wire.ts';

const text = (buffer: Buffer | undefined): string | undefined => buffer?.toString('latin1');

const header = (revision: string): IResponseHeader => ({ cluster_id: '1', member_id: '2', revision, raft_term: '3' });

const keyValue: IKeyValue = {
  key: Buffer.from('clé'),
  value: Buffer.from('🔒'),
  create_revision: '9007199254740993',
  mod_revision: '9223372036854775807',
  version: '1',
  lease: '81985529216486895',
};

const prefixEnds: readonly (readonly [prefix: readonly number[], end: readonly number[]])[] = [
  [[0x61], [0x62]],
  [
    [0x61, 0x2f],
    [0x61, 0x30],
  ],
  [[0x61, 0xff], [0x62]],
  [[0xff, 0xff], [0]],
  [[], [0]],
];

for (const [prefix, end] of prefixEnds) {
  test(`the keys that begin with [${prefix.join()}] end before [${end.join()}]`, (t) => {
    t.deepEqual([...prefixEnd(Buffer.from(prefix))], [...end]);
  });
}

const spans: readonly (readonly [span: Span, from: string | undefined, key: string, end: string | undefined])[] = [
  [{ key: 'a' }, undefined, 'a', undefined],
  [{ key: 'b' }, 'a', 'b', undefined],
  [{ key: 'b' }, 'b', 'b', undefined],
  [{ key: 'b' }, 'c', 'c', 'c'],
  [{ prefix: 'a/' }, undefined, 'a/', 'a0'],
  [{ prefix: 'a/' }, 'a/m', 'a/m', 'a0'],
  [{ prefix: 'b/' }, 'a/m', 'b/', 'b0'],
  [{ prefix: '' }, undefined, '\0', '\0'],
  [{ prefix: '' }, 'm', 'm', '\0'],
];

for (const [span, from, key, end] of spans) {
  test(`${JSON.stringify(span)} from ${JSON.stringify(from)} is asked for from ${JSON.stringify(key)}`, (t) => {
    const range = toRange(span, from);
    t.deepEqual([text(range.key), text(range.range_end)], [key, end]);
  });
}

test('a range is asked for with what was given and nothing else', (t) => {
  const everything: RangeRequest = {
    prefix: 'a/',
    limit: 2,
    sort: { by: 'create', order: 'descend' },
    minModRevision: 2n ** 62n,
    maxCreateRevision: 3n,
    revision: 4n,
    keysOnly: true,
    countOnly: true,
  };
  t.deepEqual(toRangeRequest(everything), {
    key: Buffer.from('a/'),
    range_end: Buffer.from('a0'),
    limit: 2,
    sort_target: 'Create',
    sort_order: 'Descend',
    min_mod_revision: '4611686018427387904',
    max_create_revision: '3',
    revision: '4',
    keys_only: true,
    count_only: true,
  });
  t.deepEqual(toRangeRequest({ key: 'a' }), { key: Buffer.from('a') });
});

const compares: readonly (readonly [compare: Compare, wire: object])[] = [
  [
    { key: 'a', target: 'create', is: '=', than: 0n },
    { key: Buffer.from('a'), target: 'Create', result: 'Equal', create_revision: '0' },
  ],
  [
    { prefix: 'a/', target: 'mod', is: '<', than: 7n },
    { key: Buffer.from('a/'), range_end: Buffer.from('a0'), target: 'Mod', result: 'Less', mod_revision: '7' },
  ],
  [
    { key: 'a', target: 'version', is: '>', than: 1n },
    { key: Buffer.from('a'), target: 'Version', result: 'Greater', version: '1' },
  ],
  [
    { key: 'a', target: 'value', is: '!=', than: 'é' },
    { key: Buffer.from('a'), target: 'Value', result: 'NotEqual', value: Buffer.from('é') },
  ],
];

for (const [compare, wire] of compares) {
  test(`a compare of ${compare.target} is written as etcd's`, (t) => {
    t.deepEqual(toTransaction({ compare: [compare], then: [] }).compare, [wire]);
  });
}

test("operations are written as etcd's, nested ones too", (t) => {
  const then: Operation[] = [
    { type: 'put', key: 'a', value: '1', lease: 2n ** 63n - 1n },
    { type: 'put', key: 'b', value: '' },
    { type: 'delete', prefix: 'c/' },
    { type: 'range', key: 'd', limit: 1 },
    { type: 'txn', compare: [], then: [{ type: 'delete', key: 'e' }] },
  ];
  t.deepEqual(toTransaction({ compare: [], then }), {
    compare: [],
    success: [
      { request_put: { key: Buffer.from('a'), value: Buffer.from('1'), lease: '9223372036854775807' } },
      { request_put: { key: Buffer.from('b'), value: Buffer.from('') } },
      { request_delete_range: { key: Buffer.from('c/'), range_end: Buffer.from('c0') } },
      { request_range: { key: Buffer.from('d'), limit: 1 } },
      { request_txn: { compare: [], success: [{ request_delete_range: { key: Buffer.from('e') } }], failure: [] } },
    ],
    failure: [],
  });
});

test('a transaction writes if anything in either branch does, however deep', (t) => {
  const range: Operation = { type: 'range', key: 'a' };
  const nested = (operation: Operation): Operation => ({ type: 'txn', compare: [], then: [], otherwise: [operation] });
  const cases: readonly (readonly [Transaction, boolean])[] = [
    [{ compare: [], then: [] }, false],
    [{ compare: [], then: [range], otherwise: [range, nested(range)] }, false],
    [{ compare: [], then: [range], otherwise: [{ type: 'delete', key: 'a' }] }, true],
    [{ compare: [], then: [nested(nested({ type: 'put', key: 'a', value: '' }))] }, true],
  ];
  for (const [transaction, writes] of cases) t.is(isWriting(transaction), writes);
});

test('answers stand by their operations, and integers of 64 bits stay exact', (t) => {
  const range: IRangeResponse = { header: header('7'), kvs: [keyValue], more: true, count: '12' };
  const response = {
    header: header('8'),
    succeeded: false,
    responses: [
      { response_put: { header: header('8') } },
      { response_delete_range: { header: header('8'), deleted: '3', prev_kvs: [] } },
      { response_range: { ...range, header: null } },
      { response_txn: { header: null, succeeded: true, responses: [] } },
    ] as unknown as IResponseOp[],
  } satisfies ITxnResponse;
  const otherwise: Operation[] = [
    { type: 'put', key: 'a', value: '' },
    { type: 'delete', key: 'b' },
    { type: 'range', key: 'c' },
    { type: 'txn', compare: [], then: [] },
  ];
  const entry = {
    key: 'clé',
    value: '🔒',
    createRevision: 9_007_199_254_740_993n,
    modRevision: 9_223_372_036_854_775_807n,
    version: 1n,
    lease: 81_985_529_216_486_895n,
  };
  t.deepEqual(fromTransaction({ compare: [], then: [], otherwise }, response), {
    succeeded: false,
    revision: 8n,
    responses: [
      { type: 'put' },
      { type: 'delete', deleted: 3 },
      { type: 'range', revision: 8n, entries: [entry], count: 12, more: true },
      { type: 'txn', succeeded: true, revision: 8n, responses: [] },
    ],
  });
});

test('a transaction that is not answered in full has an unknown outcome', (t) => {
  const error = t.throws(
    () =>
      fromTransaction(
        { compare: [], then: [{ type: 'delete', key: 'a' }] },
        { header: header('8'), succeeded: true, responses: [] },
      ),
    { instanceOf: StoreError },
  );
  t.is(error.outcome, 'unknown');
});

test('events are puts with their entry and deletes with their revision', (t) => {
  t.like(fromEvent({ type: 'Put', kv: keyValue, prev_kv: keyValue }), {
    type: 'put',
    entry: { key: 'clé', version: 1n },
  });
  t.deepEqual(fromEvent({ type: 'Delete', kv: { ...keyValue, mod_revision: '5' }, prev_kv: keyValue }), {
    type: 'delete',
    key: 'clé',
    modRevision: 5n,
  });
});

test('a missing header is revision 0', (t) => {
  t.is(revisionOf(null), 0n);
  t.is(revisionOf({ header: null }), 0n);
  t.is(revisionOf({ header: header('5') }), 5n);
});

test('keys and values come out as text, whatever bytes somebody else has put there', (t) => {
  const bytes = fc.uint8Array().map((each) => Buffer.from(each));
  fc.assert(
    fc.property(bytes, bytes, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (key, value, revision) => {
      const kv = { ...keyValue, key, value, create_revision: String(revision), mod_revision: String(revision) };
      const event = fromEvent({ type: 'Put', kv, prev_kv: kv });
      if (event.type !== 'put') return t.fail();
      t.is(event.entry.key, new TextDecoder('utf-8', { ignoreBOM: true }).decode(key));
      t.is(event.entry.value, new TextDecoder('utf-8', { ignoreBOM: true }).decode(value));
      t.is(event.entry.modRevision, revision);
    }),
  );
});
