import type { RangeRequest, Transaction } from './store.ts';

/**
 * Ranges in a transaction with a delete that is never taken, since no create revision is below zero. It goes through raft, so it is not
 * stale even on servers whose linearizable reads can be (before 3.4.42 and 3.5.28), and it changes no revision. A delete and not a
 * put, because etcd refuses whatever could need space once its quota is exceeded, taken or not. See docs/adr/0005.
 */
export function rangeThroughRaft(...ranges: readonly [RangeRequest, ...RangeRequest[]]): Transaction {
  const [first] = ranges;
  const key = 'key' in first ? first.key : first.prefix;
  return {
    compare: [{ key, target: 'create', is: '<', than: 0n }],
    then: [{ type: 'delete', key }],
    otherwise: ranges.map((range) => ({ type: 'range' as const, ...range })),
  };
}
