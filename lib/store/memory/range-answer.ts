import type { KeyValue, RangeResponse } from '../store.ts';
import type { EtcdRangeRequest } from './etcd-requests.ts';
import { compareKeys } from './key-order.ts';

/** Makes an answer of what the span holds, as etcd does it: count first, then filter, then sort, then cut. */
export function answerRange(found: readonly KeyValue[], request: EtcdRangeRequest, revision: bigint): RangeResponse {
  const count = found.length;
  if (request.countOnly === true) return { revision, entries: [], count, more: false };
  const { minModRevision = 0n, maxModRevision = 0n, minCreateRevision = 0n, maxCreateRevision = 0n } = request;
  const { limit = 0, sort, keysOnly } = request;
  const matching = found.filter(
    (entry) =>
      (minModRevision === 0n || entry.modRevision >= minModRevision) &&
      (maxModRevision === 0n || entry.modRevision <= maxModRevision) &&
      (minCreateRevision === 0n || entry.createRevision >= minCreateRevision) &&
      (maxCreateRevision === 0n || entry.createRevision <= maxCreateRevision),
  );
  const sorted = sort === undefined ? matching : sortable(matching, request).toSorted(entryOrder(sort));
  const cut = limit > 0 ? sorted.slice(0, limit) : sorted;
  const entries = keysOnly === true ? cut.map((entry) => ({ ...entry, value: '' })) : cut;
  return { revision, entries, count, more: cut.length < sorted.length };
}

/** Without an order or a filter, etcd reads no more than it needs to know that there is more, and sorts that. */
function sortable(matching: readonly KeyValue[], request: EtcdRangeRequest): readonly KeyValue[] {
  const { sort, limit = 0, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const isFiltered = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision].some((each) => each);
  return sort?.order === 'none' && limit > 0 && !isFiltered ? matching.slice(0, limit + 1) : matching;
}

const NUMBERS = { create: 'createRevision', mod: 'modRevision', version: 'version' } as const;

function entryOrder({ by, order }: NonNullable<EtcdRangeRequest['sort']>): (a: KeyValue, b: KeyValue) => number {
  const sign = order === 'descend' ? -1 : 1;
  if (by === 'key' || by === 'value') return (a, b) => sign * compareKeys(a[by], b[by]);
  const field = NUMBERS[by];
  return (a, b) => sign * Number(a[field] - b[field]);
}
