import type { KeyValue, RangeRequest, RangeResponse } from '../store.ts';
import { compareKeys } from './key-order.ts';

/** Makes an answer of what the span holds, as etcd does it: count first, then filter, then sort, then cut. */
export function answerRange(found: readonly KeyValue[], request: RangeRequest, revision: bigint): RangeResponse {
  const count = found.length;
  if (request.countOnly === true) return { revision, entries: [], count, more: false };
  const { minModRevision = 0n, maxCreateRevision = 0n, limit = 0, sort, keysOnly } = request;
  const matching = found.filter(
    (entry) =>
      (minModRevision === 0n || entry.modRevision >= minModRevision) &&
      (maxCreateRevision === 0n || entry.createRevision <= maxCreateRevision),
  );
  const sorted = sort === undefined ? matching : matching.toSorted(entryOrder(sort));
  const cut = limit > 0 ? sorted.slice(0, limit) : sorted;
  const entries = keysOnly === true ? cut.map((entry) => ({ ...entry, value: '' })) : cut;
  return { revision, entries, count, more: cut.length < sorted.length };
}

function entryOrder({ by, order }: NonNullable<RangeRequest['sort']>): (a: KeyValue, b: KeyValue) => number {
  const sign = order === 'ascend' ? 1 : -1;
  if (by === 'key') return (a, b) => sign * compareKeys(a.key, b.key);
  const field = by === 'create' ? 'createRevision' : 'modRevision';
  return (a, b) => sign * Number(a[field] - b[field]);
}
