import test from 'ava';
import { testRuntime } from '../../testing/test-runtime.ts';
import type { EtcdCompare, EtcdOperation, EtcdRangeRequest, EtcdSpan, EtcdTransaction } from './etcd-requests.ts';
import { MemoryCluster } from './memory-cluster.ts';
import { Refusal } from './refusal.ts';

// What etcd's protocol has beyond the port. The answers are those of etcd 3.5.30, and of 3.4.23 unless a title says otherwise.

/** Keys a, b, c and d, written in the order b, d, a, c, and b once more; c is on lease 7. */
function filled(): MemoryCluster {
  const cluster = new MemoryCluster(testRuntime());
  cluster.grant(7n, 60_000);
  cluster.put('b', '3'); // revision 2
  cluster.put('d', '1');
  cluster.put('a', '2');
  cluster.put('c', '4', 7n);
  cluster.put('b', '0'); // revision 6
  return cluster;
}

const spans: readonly (readonly [span: EtcdSpan, keys: string])[] = [
  [{ start: 'b', end: 'd' }, 'bc'],
  [{ start: 'b', end: undefined }, 'bcd'],
  [{ start: '\0', end: undefined }, 'abcd'],
  [{ start: 'aa', end: 'c0' }, 'bc'],
  [{ start: 'c', end: 'c' }, ''],
  [{ start: 'd', end: 'a' }, ''],
];
for (const [span, keys] of spans) {
  test(`${JSON.stringify(span)} holds "${keys}", now and in the past, for a range, a delete and a watch`, (t) => {
    const cluster = filled();
    const { revision } = cluster;
    const events: string[] = [];
    cluster.watch({
      request: { span, fromRevision: revision + 1n },
      deliver: (batch) => events.push(...batch.events.map((event) => (event.type === 'delete' ? event.key : 'put'))),
      fail: (error) => t.fail(error.message),
    });
    cluster.delete(span);
    t.is(
      cluster
        .range({ ...span, revision })
        .entries.map(({ key }) => key)
        .join(''),
      keys,
    );
    t.is(cluster.range(span).count, 0);
    t.is(events.join(''), keys);
  });
}

const all = { start: '\0', end: undefined };
const ranges: readonly (readonly [title: string, request: Partial<EtcdRangeRequest>, keys: string, more?: boolean])[] =
  [
    ['by value', { sort: { by: 'value', order: 'ascend' } }, 'bdac'],
    ['by value, down', { sort: { by: 'value', order: 'descend' } }, 'cadb'],
    ['by version', { sort: { by: 'version', order: 'descend' } }, 'bacd'],
    ['by creation', { sort: { by: 'create', order: 'ascend' } }, 'bdac'],
    ['by creation, cut', { sort: { by: 'create', order: 'ascend' }, limit: 2 }, 'bd', true],
    ['by mod, without an order, cut', { sort: { by: 'mod', order: 'none' }, limit: 1 }, 'a', true],
    [
      'by mod, without an order, cut, filtered',
      { sort: { by: 'mod', order: 'none' }, limit: 1, minModRevision: 2n },
      'd',
      true,
    ],
    ['up to a mod revision', { maxModRevision: 4n }, 'ad'],
    ['from a create revision on', { minCreateRevision: 4n }, 'ac'],
    ['between', { minCreateRevision: 3n, maxCreateRevision: 4n }, 'ad'],
    ['with a limit that leaves nothing out', { limit: 4 }, 'abcd', false],
  ];
for (const [title, request, keys, more = false] of ranges) {
  test(`a range ${title}`, (t) => {
    const answer = filled().range({ ...all, ...request });
    t.deepEqual([answer.entries.map(({ key }) => key).join(''), answer.more], [keys, more]);
    t.is(answer.count, 4);
  });
}

const compares: readonly (readonly [compare: EtcdCompare, holds: boolean])[] = [
  [{ key: 'c', target: 'lease', is: '=', than: 7n }, true],
  [{ key: 'a', target: 'lease', is: '=', than: 0n }, true],
  [{ key: 'x', target: 'lease', is: '=', than: 0n }, true],
  [{ ...all, target: 'lease', is: '=', than: 0n }, false],
  [{ key: 'a', target: 'value', is: '<', than: '3' }, true],
  [{ key: 'a', target: 'value', is: '>', than: '1' }, true],
  [{ key: 'a', target: 'value', is: '>', than: '2' }, false],
  [{ key: 'x', target: 'value', is: '<', than: '3' }, false],
  [{ ...all, target: 'value', is: '<', than: '5' }, true],
  [{ start: 'a', end: 'c', target: 'value', is: '<', than: '2' }, false],
];
for (const [compare, holds] of compares) {
  test(`${show(compare)} ${holds ? 'holds' : 'does not hold'}`, (t) => {
    t.is(filled().transact({ compare: [compare], then: [] }).succeeded, holds);
  });
}

test('a put can keep the value or the lease that a key has, and tell what was there', (t) => {
  const cluster = filled();
  const { responses } = cluster.transact({
    compare: [],
    then: [
      { type: 'put', key: 'c', value: '', ignoreValue: true, prevKv: true },
      { type: 'put', key: 'e', value: 'new', prevKv: true },
      { type: 'delete', start: 'a', end: 'c', prevKv: true },
    ],
  });
  t.like(responses[0], { type: 'put', prevKv: { key: 'c', value: '4', lease: 7n, version: 1n } });
  t.deepEqual(responses[1], { type: 'put' });
  t.like(responses[2], {
    type: 'delete',
    deleted: 2,
    prevKvs: [
      { key: 'a', value: '2' },
      { key: 'b', value: '0' },
    ],
  });
  t.like(cluster.get('c'), { value: '4', lease: 0n, version: 2n });

  const other = filled();
  other.transact({ compare: [], then: [{ type: 'put', key: 'c', value: 'new', ignoreLease: true }] });
  t.like(other.get('c'), { value: 'new', lease: 7n });
  t.deepEqual(other.lease(7n)?.keys, ['c']);
});

const refused: readonly (readonly [then: readonly EtcdOperation[], details: string, code: number])[] = [
  [[{ type: 'put', key: '', value: '' }], 'etcdserver: key is not provided', 3],
  [[{ type: 'delete', start: '', end: 'x' }], 'etcdserver: key is not provided', 3],
  [[{ type: 'put', key: 'x', value: '', ignoreValue: true }], 'etcdserver: key not found', 3],
  [[{ type: 'put', key: 'x', value: '', lease: 8n }], 'etcdserver: requested lease not found', 5],
  [[put('x'), put('x')], 'etcdserver: duplicate key given in txn request', 3],
  [[put('x'), { type: 'delete', start: 'w', end: 'y' }], 'etcdserver: duplicate key given in txn request', 3],
  [[{ type: 'range', key: 'a', revision: 99n }], 'etcdserver: mvcc: required revision is a future revision', 11],
  [Array.from({ length: 129 }, (_, index) => put(`${index}`)), 'etcdserver: too many operations in txn request', 3],
];
for (const [then, details, code] of refused) {
  test(`${show(then).slice(0, 100)} is refused with "${details}"`, (t) => {
    const cluster = filled();
    t.deepEqual(refusalOf(cluster, { compare: [], then })?.status, { code, details });
    t.is(cluster.revision, 6n);
  });
}

test('a put that a delete without an end covers is let through, as etcd does it', (t) => {
  const cluster = filled();
  const then: readonly EtcdOperation[] = [put('y'), { type: 'delete', start: 'x', end: undefined }];
  t.is(refusalOf(cluster, { compare: [], then }), undefined);
  t.is(cluster.get('y'), undefined);
});

const lackingBoth = { type: 'put', key: 'x', value: '', lease: 8n, ignoreValue: true } as const;

test('of a put that lacks its lease and its key, etcd names the lease, or within a transaction the key', (t) => {
  const cluster = filled();
  const refusalTo = (put: EtcdOperation): string | undefined =>
    refusalOf(cluster, { compare: [], then: [put] })?.status.details;
  t.is(refusalTo({ ...lackingBoth, isAlone: true }), 'etcdserver: requested lease not found');
  t.is(refusalTo(lackingBoth), 'etcdserver: key not found');
});

test('of a request that is wrong and too large, etcd names what is wrong', (t) => {
  const cluster = filled();
  const bytes = 2 * 1024 * 1024;
  const refusalTo = (key: string): string | undefined =>
    refusalOf(cluster, { compare: [], then: [put(key)] }, bytes)?.status.details;
  t.is(refusalTo(''), 'etcdserver: key is not provided');
  t.is(refusalTo('x'), 'etcdserver: request is too large');
});

function put(key: string): EtcdOperation {
  return { type: 'put', key, value: '' };
}

function refusalOf(cluster: MemoryCluster, transaction: EtcdTransaction, bytes?: number): Refusal | undefined {
  try {
    cluster.transact(transaction, bytes);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

function show(what: unknown): string {
  return JSON.stringify(what, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
