import type {
  EtcdCompare,
  EtcdDelete,
  EtcdOperation,
  EtcdPut,
  EtcdRangeRequest,
  EtcdSpan,
  EtcdTransaction,
} from '../../store/memory/etcd-requests.ts';
import { Refusal } from '../../store/memory/refusal.ts';
import { toText } from './bytes.ts';
import type {
  CompareMessage,
  DeleteRangeRequest,
  Interval,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from './messages.ts';

/* etcd's requests in the model's words. What etcd refuses for its words alone is refused here, the rest by the model. */

/** Without an end, one key; with a NUL byte for its end, everything from the key on. */
export function toSpan({ key, range_end }: Interval): EtcdSpan {
  if (range_end.length === 0) return { key: toText(key) };
  const isWithoutEnd = range_end.length === 1 && range_end[0] === 0;
  return { start: toText(key), end: isWithoutEnd ? undefined : toText(range_end) };
}

const SORT_TARGETS = { Key: 'key', Version: 'version', Create: 'create', Mod: 'mod', Value: 'value' } as const;

export function toRange(message: RangeRequest): EtcdRangeRequest {
  const sort = toSort(message);
  return {
    ...toSpan(message),
    ...(sort === undefined ? {} : { sort }),
    limit: Number(message.limit),
    revision: BigInt(message.revision),
    minModRevision: BigInt(message.min_mod_revision),
    maxModRevision: BigInt(message.max_mod_revision),
    minCreateRevision: BigInt(message.min_create_revision),
    maxCreateRevision: BigInt(message.max_create_revision),
    keysOnly: message.keys_only,
    countOnly: message.count_only,
  };
}

/** Keys are ascending in any case. An order that etcd does not know means no sorting, and such a target means the key. */
function toSort({ sort_order, sort_target }: RangeRequest): EtcdRangeRequest['sort'] {
  if (typeof sort_order === 'number') return undefined;
  const by = typeof sort_target === 'number' ? 'key' : SORT_TARGETS[sort_target];
  if (sort_order === 'Descend') return { by, order: 'descend' };
  if (by === 'key') return undefined;
  return { by, order: sort_order === 'Ascend' ? 'ascend' : 'none' };
}

export function toPut(message: PutRequest): EtcdPut {
  return {
    type: 'put',
    key: toText(message.key),
    value: toText(message.value),
    lease: BigInt(message.lease),
    prevKv: message.prev_kv,
    ignoreValue: message.ignore_value,
    ignoreLease: message.ignore_lease,
  };
}

export function toDelete(message: DeleteRangeRequest): EtcdDelete {
  return { type: 'delete', ...toSpan(message), prevKv: message.prev_kv };
}

export function toTransaction({ compare, success, failure }: TxnRequest): EtcdTransaction {
  return { compare: compare.map(toCompare), then: success.map(toOperation), otherwise: failure.map(toOperation) };
}

function toOperation(operation: RequestOp): EtcdOperation {
  const { request_range, request_put, request_delete_range, request_txn } = operation;
  if (request_range) return { type: 'range', ...toRange(request_range) };
  if (request_put) return toPut(request_put);
  if (request_delete_range) return toDelete(request_delete_range);
  if (request_txn) return { type: 'txn', ...toTransaction(request_txn) };
  throw new Refusal('key-not-found', 'an operation of the transaction is none');
}

const RESULTS = { Equal: '=', NotEqual: '!=', Less: '<', Greater: '>' } as const;

/** What is compared with a field that the message does not have is compared with 0, or with the empty value. */
function toCompare(message: CompareMessage): EtcdCompare {
  const compare = { ...toSpan(message), is: RESULTS[message.result] };
  switch (message.target) {
    case 'Version':
      return { ...compare, target: 'version', than: BigInt(message.version ?? 0) };
    case 'Create':
      return { ...compare, target: 'create', than: BigInt(message.create_revision ?? 0) };
    case 'Mod':
      return { ...compare, target: 'mod', than: BigInt(message.mod_revision ?? 0) };
    case 'Lease':
      return { ...compare, target: 'lease', than: BigInt(message.lease ?? 0) };
    case 'Value':
      return { ...compare, target: 'value', than: message.value === undefined ? '' : toText(message.value) };
  }
}
