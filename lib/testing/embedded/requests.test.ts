import test from 'ava';
import { compareKeys } from '../../store/memory/key-order.ts';
import { toBytes, toText } from './bytes.ts';
import type { RangeRequest } from './messages.ts';
import { toRange, toSpan, toTransaction } from './requests.ts';

test('every byte survives the border, and the order of bytes is that of the text', (t) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  t.deepEqual(toBytes(toText(all)), all);
  const keys = [
    all,
    Buffer.from('é'),
    Buffer.from('\u{1F600}'),
    Buffer.from('a'),
    Buffer.from([255]),
    Buffer.from([0]),
  ];
  const byBytes = keys.toSorted((a, b) => a.compare(b));
  const byText = keys.toSorted((a, b) => compareKeys(toText(a), toText(b)));
  t.deepEqual(byText, byBytes);
});

const spans: readonly (readonly [key: string, end: string, span: object])[] = [
  ['a', '', { key: 'a' }],
  ['a', 'b', { start: 'a', end: 'b' }],
  ['a', '\0', { start: 'a', end: undefined }],
  ['\0', '\0', { start: '\0', end: undefined }],
  ['a', '\0\0', { start: 'a', end: '\0\0' }],
];
for (const [key, end, span] of spans) {
  test(`the range from ${JSON.stringify(key)} to ${JSON.stringify(end)} is ${JSON.stringify(span)}`, (t) => {
    t.deepEqual(toSpan({ key: Buffer.from(key), range_end: Buffer.from(end) }), span as never);
  });
}

const range: RangeRequest = {
  key: Buffer.from('a'),
  range_end: Buffer.alloc(0),
  limit: '0',
  revision: '0',
  sort_order: 'None',
  sort_target: 'Key',
  keys_only: false,
  count_only: false,
  min_mod_revision: '0',
  max_mod_revision: '0',
  min_create_revision: '0',
  max_create_revision: '0',
};

const sorts: readonly (readonly [Partial<RangeRequest>, object | undefined])[] = [
  [{}, undefined],
  [{ sort_order: 'Ascend' }, undefined],
  [{ sort_order: 'Descend' }, { by: 'key', order: 'descend' }],
  [{ sort_target: 'Mod' }, { by: 'mod', order: 'none' }],
  [
    { sort_order: 'Ascend', sort_target: 'Mod' },
    { by: 'mod', order: 'ascend' },
  ],
  [
    { sort_order: 'Descend', sort_target: 'Value' },
    { by: 'value', order: 'descend' },
  ],
  [{ sort_order: 7, sort_target: 'Mod' }, undefined],
  [
    { sort_order: 'Descend', sort_target: 9 },
    { by: 'key', order: 'descend' },
  ],
];
for (const [message, sort] of sorts) {
  test(`a range with ${JSON.stringify(message)} is sorted by ${JSON.stringify(sort)}`, (t) => {
    t.deepEqual(toRange({ ...range, ...message }).sort, sort as never);
  });
}

test('an operation that is none is refused as etcd does it', (t) => {
  const error = t.throws(() => toTransaction({ compare: [], success: [{}], failure: [] }));
  t.like(error, { status: { code: 3, details: 'etcdserver: key not found' } });
});

test('a compare without a value to compare with takes the empty one, or zero', (t) => {
  const key = { key: Buffer.from('a'), range_end: Buffer.alloc(0) };
  const { compare } = toTransaction({
    compare: [
      { ...key, result: 'Less', target: 'Value', mod_revision: '5' },
      { ...key, result: 'NotEqual', target: 'Lease' },
    ],
    success: [],
    failure: [],
  });
  t.deepEqual(compare, [
    { key: 'a', is: '<', target: 'value', than: '' },
    { key: 'a', is: '!=', target: 'lease', than: 0n },
  ]);
});
