import type {
  ICompare,
  IDeleteRangeRequest,
  IEvent,
  IKeyValue,
  IRangeRequest,
  IRangeResponse,
  IRequestOp,
  IResponseHeader,
  IResponseOp,
  ITxnRequest,
  ITxnResponse,
} from 'etcd3';
import { StoreError } from '../store-error.ts';
import type {
  Compare,
  KeyValue,
  Operation,
  OperationResponse,
  RangeRequest,
  RangeResponse,
  Span,
  Transaction,
  TransactionResponse,
  WatchEvent,
} from '../store.ts';

/*
 * The port's words in etcd's messages and back. Integers of 64 bits travel as decimal strings, a missing message is null, and the
 * generated types tell of neither the one nor the other reliably: every answer goes through here.
 */

/** In a range end, a single NUL byte means "to the last key". */
const TO_THE_END = Buffer.from([0]);

/** The first key behind all those that begin with `prefix`. */
export function prefixEnd(prefix: Buffer): Buffer {
  for (let index = prefix.length - 1; index >= 0; index--) {
    const byte = prefix[index] ?? 0xff;
    if (byte < 0xff) return Buffer.concat([prefix.subarray(0, index), Buffer.from([byte + 1])]);
  }
  return TO_THE_END;
}

export function toRange(span: Span, from?: string): { key: Buffer; range_end?: Buffer } {
  if ('key' in span) {
    const key = Buffer.from(span.key);
    const start = from === undefined ? key : Buffer.from(from);
    /* A range that ends where it begins is empty, which is the one key's part from a later key on. */
    return start.compare(key) > 0 ? { key: start, range_end: start } : { key };
  }
  const prefix = Buffer.from(span.prefix);
  const range_end = prefixEnd(prefix);
  const start = from === undefined ? prefix : Buffer.from(from);
  const key = start.compare(prefix) > 0 ? start : prefix;
  /* etcd has no empty key; with "to the end" it takes a NUL byte for the first one. */
  return { key: key.length === 0 ? TO_THE_END : key, range_end };
}

const SORT_TARGETS = { key: 'Key', create: 'Create', mod: 'Mod' } as const;
const SORT_ORDERS = { ascend: 'Ascend', descend: 'Descend' } as const;

export function toRangeRequest(request: RangeRequest): IRangeRequest {
  const { limit, sort, minModRevision, maxCreateRevision, revision } = request;
  return {
    ...toRange(request, request.from),
    ...(limit === undefined ? {} : { limit }),
    ...(sort === undefined ? {} : { sort_target: SORT_TARGETS[sort.by], sort_order: SORT_ORDERS[sort.order] }),
    ...(minModRevision === undefined ? {} : { min_mod_revision: String(minModRevision) }),
    ...(maxCreateRevision === undefined ? {} : { max_create_revision: String(maxCreateRevision) }),
    ...(revision === undefined ? {} : { revision: String(revision) }),
    ...(request.keysOnly === true ? { keys_only: true } : {}),
    ...(request.countOnly === true ? { count_only: true } : {}),
  };
}

const RESULTS = { '=': 'Equal', '!=': 'NotEqual', '<': 'Less', '>': 'Greater' } as const;

function toCompare(compare: Compare): ICompare {
  const result = RESULTS[compare.is];
  if (compare.target === 'value') {
    return { result, target: 'Value', key: Buffer.from(compare.key), value: Buffer.from(compare.than) };
  }
  const range = toRange(compare);
  const than = String(compare.than);
  switch (compare.target) {
    case 'create':
      return { ...range, result, target: 'Create', create_revision: than };
    case 'mod':
      return { ...range, result, target: 'Mod', mod_revision: than };
    case 'version':
      return { ...range, result, target: 'Version', version: than };
  }
}

function toOperation(operation: Operation): IRequestOp {
  switch (operation.type) {
    case 'put':
      return {
        request_put: {
          key: Buffer.from(operation.key),
          value: Buffer.from(operation.value),
          ...(operation.lease === undefined ? {} : { lease: String(operation.lease) }),
        },
      };
    case 'delete':
      return { request_delete_range: toRange(operation) satisfies IDeleteRangeRequest };
    case 'range':
      return { request_range: toRangeRequest(operation) };
    case 'txn':
      return { request_txn: toTransaction(operation) };
  }
}

export function toTransaction(transaction: Transaction): ITxnRequest {
  return {
    compare: transaction.compare.map(toCompare),
    success: transaction.then.map(toOperation),
    failure: (transaction.otherwise ?? []).map(toOperation),
  };
}

/** Whether a transaction has anything to write in either branch, and therefore goes through raft. */
export function isWriting(transaction: Transaction): boolean {
  return [...transaction.then, ...(transaction.otherwise ?? [])].some((operation) =>
    operation.type === 'txn' ? isWriting(operation) : operation.type !== 'range',
  );
}

/** `header.revision`, `0n` where there is no header. Inside a transaction, some servers leave it out. */
export function revisionOf(message: { readonly header?: IResponseHeader | null | undefined } | null): bigint {
  return BigInt(message?.header?.revision ?? 0);
}

/** Equal numbers are one object where they often are equal: replicas keep an entry for each of many thousand keys. */
function fromKeyValue(kv: IKeyValue): KeyValue {
  const modRevision = BigInt(kv.mod_revision);
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: kv.create_revision === kv.mod_revision ? modRevision : BigInt(kv.create_revision),
    modRevision,
    version: kv.version === '1' ? 1n : BigInt(kv.version),
    lease: kv.lease === '0' ? 0n : BigInt(kv.lease),
  };
}

export function fromRange(response: IRangeResponse): RangeResponse {
  return {
    revision: revisionOf(response),
    entries: response.kvs.map(fromKeyValue),
    count: Number(response.count),
    more: response.more,
  };
}

/**
 * The answers stand in the order of the operations of the branch that was taken. The transaction's own revision is given to the
 * parts that name none.
 */
export function fromTransaction(
  transaction: Transaction,
  response: ITxnResponse,
  outerRevision = 0n,
): TransactionResponse {
  const revision = revisionOf(response) || outerRevision;
  const branch = (response.succeeded ? transaction.then : transaction.otherwise) ?? [];
  const responses = branch.map((operation, index) => fromOperation(operation, response.responses[index], revision));
  return { succeeded: response.succeeded, revision, responses };
}

function fromOperation(operation: Operation, response: IResponseOp | undefined, revision: bigint): OperationResponse {
  switch (operation.type) {
    case 'put':
      return { type: 'put' };
    case 'delete':
      return { type: 'delete', deleted: Number(answered(response?.response_delete_range).deleted) };
    case 'range': {
      const range = fromRange(answered(response?.response_range));
      return { type: 'range', ...range, revision: range.revision || revision };
    }
    case 'txn':
      return { type: 'txn', ...fromTransaction(operation, answered(response?.response_txn), revision) };
  }
}

function answered<T>(response: T | null | undefined): T {
  if (response === null || response === undefined) {
    throw new StoreError('internal', 'unknown', 'etcd answered the transaction but not each of its operations');
  }
  return response;
}

export function fromEvent(event: IEvent): WatchEvent {
  if (event.type === 'Put') return { type: 'put', entry: fromKeyValue(event.kv) };
  return { type: 'delete', key: event.kv.key.toString(), modRevision: BigInt(event.kv.mod_revision) };
}
