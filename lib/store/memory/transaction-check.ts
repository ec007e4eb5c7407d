/** What etcd refuses before it looks at any key: `checkTxnRequest` and `checkIntervals` of `etcdserver/api/v3rpc/key.go`. */
import { StoreError } from '../store-error.ts';
import type { Operation, Span, Transaction } from '../store.ts';
import { covers } from './key-order.ts';

/** `--max-txn-ops` and `--max-request-bytes` as etcd has them without the flags. */
const MAX_OPERATIONS = 128;
const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

/** Throws a StoreError if etcd would refuse the request as such. */
export function checkTransaction(transaction: Transaction): void {
  checkOperations(transaction, MAX_OPERATIONS);
  checkOverlaps(transaction.then);
  checkOverlaps(transaction.otherwise ?? []);
  const bytes = sizeOf(transaction);
  if (bytes > MAX_REQUEST_BYTES) {
    throw new StoreError(
      'too-large',
      'permanent',
      `Expected a request of up to ${MAX_REQUEST_BYTES} bytes, got ${bytes}`,
    );
  }
}

export function checkSpan(span: Span): void {
  if ('key' in span && span.key === '')
    throw new StoreError('invalid', 'permanent', 'Expected a key, got an empty one');
}

/** The limit is per depth: what a level does not use is left for the one below it. */
function checkOperations({ compare, then, otherwise = [] }: Transaction, limit: number): void {
  const most = Math.max(compare.length, then.length, otherwise.length);
  if (most > limit) {
    throw new StoreError('too-large', 'permanent', `Expected a transaction of up to ${limit} operations, got ${most}`);
  }
  for (const each of compare) checkSpan(each);
  for (const operation of [...then, ...otherwise]) {
    if (operation.type === 'txn') checkOperations(operation, limit - most);
    else checkSpan(operation);
  }
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: Span[];
}

/**
 * A key may not be put twice in a transaction, nor be put and deleted at one level or in a level below a delete. Deletes may
 * overlap. Two quirks are etcd's own: of two nested transactions the later one may delete what the earlier one put, and a delete of
 * everything overlaps with nothing.
 */
function checkOverlaps(operations: readonly Operation[]): Writes {
  const deletes: Span[] = operations.filter((operation) => operation.type === 'delete');
  const puts = new Set<string>();
  const add = (key: string, allowed?: ReadonlySet<string>): void => {
    const isTwice = puts.has(key) && allowed?.has(key) !== true;
    if (isTwice || deletes.some((span) => !isEverything(span) && covers(span, key))) {
      throw new StoreError(
        'invalid',
        'permanent',
        `Expected each key once in a transaction, got ${JSON.stringify(key)} twice`,
      );
    }
    puts.add(key);
  };

  for (const operation of operations) {
    if (operation.type !== 'txn') continue;
    const then = checkOverlaps(operation.then);
    const otherwise = checkOverlaps(operation.otherwise ?? []);
    for (const key of then.puts) add(key);
    // Only one of the branches is taken, so the same key may stand in both.
    for (const key of otherwise.puts) add(key, then.puts);
    deletes.push(...then.deletes, ...otherwise.deletes);
  }
  for (const operation of operations) if (operation.type === 'put') add(operation.key);
  return { puts, deletes };
}

function isEverything(span: Span): boolean {
  return 'prefix' in span && span.prefix === '';
}

/** About what the request takes on the wire. */
function sizeOf({ compare, then, otherwise = [] }: Transaction): number {
  let bytes = 0;
  for (const each of compare) bytes += spanSize(each) + (each.target === 'value' ? Buffer.byteLength(each.than) : 8);
  for (const operation of [...then, ...otherwise]) {
    if (operation.type === 'txn') bytes += sizeOf(operation);
    else bytes += spanSize(operation) + (operation.type === 'put' ? Buffer.byteLength(operation.value) : 0);
  }
  return bytes;
}

function spanSize(span: Span): number {
  return Buffer.byteLength('key' in span ? span.key : span.prefix);
}
