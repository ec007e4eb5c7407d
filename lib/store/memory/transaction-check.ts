/** What etcd refuses before it looks at any key: `checkTxnRequest` and `checkIntervals` of `etcdserver/api/v3rpc/key.go`. */
import type { Transaction } from '../store.ts';
import type { EtcdDelete, EtcdOperation, EtcdPut, EtcdSpan, EtcdTransaction } from './etcd-requests.ts';
import { covers, firstOf } from './key-order.ts';
import { Refusal } from './refusal.ts';

/** `--max-txn-ops` and `--max-request-bytes` as etcd has them without the flags. */
const MAX_OPERATIONS = 128;
const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

/** Throws a {@link Refusal} if etcd would refuse the request as such. */
export function checkTransaction(transaction: EtcdTransaction): void {
  checkOperations(transaction, MAX_OPERATIONS);
  checkOverlaps(transaction.then);
  checkOverlaps(transaction.otherwise ?? []);
}

/** Throws a {@link Refusal} for more than etcd puts through raft at once. */
export function checkSize(bytes: number): void {
  if (bytes <= MAX_REQUEST_BYTES) return;
  throw new Refusal('request-too-large', `expected up to ${MAX_REQUEST_BYTES} bytes, got ${bytes}`);
}

export function checkSpan(span: EtcdSpan): void {
  // Only a prefix may be empty: on the wire, that is the interval from the first key on.
  if (!('prefix' in span) && firstOf(span) === '') throw new Refusal('empty-key', 'every request names a key');
}

/** The limit is per depth: what a level does not use is left for the one below it. */
function checkOperations({ compare, then, otherwise = [] }: EtcdTransaction, limit: number): void {
  const most = Math.max(compare.length, then.length, otherwise.length);
  if (most > limit) {
    throw new Refusal('too-many-operations', `expected up to ${limit} at this depth, got ${most}`);
  }
  for (const each of compare) checkSpan(each);
  for (const operation of [...then, ...otherwise]) {
    if (operation.type === 'txn') checkOperations(operation, limit - most);
    else checkSpan(operation);
    if (operation.type === 'put') checkPut(operation);
  }
}

function checkPut({ key, value, lease = 0n, ignoreValue, ignoreLease }: EtcdPut): void {
  if (ignoreValue === true && value !== '') throw new Refusal('value-provided', JSON.stringify(key));
  if (ignoreLease === true && lease !== 0n) throw new Refusal('lease-provided', JSON.stringify(key));
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: EtcdSpan[];
}

/**
 * A key may not be put twice in a transaction, nor be put and deleted at one level or in a level below a delete. Deletes may
 * overlap. Two quirks are etcd's own: of two nested transactions the later one may delete what the earlier one put, and a delete
 * without an end, such as one of everything, overlaps with nothing.
 */
function checkOverlaps(operations: readonly EtcdOperation[]): Writes {
  const deletes: EtcdSpan[] = operations.filter((operation): operation is EtcdDelete => operation.type === 'delete');
  const puts = new Set<string>();
  const add = (key: string, allowed?: ReadonlySet<string>): void => {
    const isTwice = puts.has(key) && allowed?.has(key) !== true;
    if (isTwice || deletes.some((span) => overlaps(span, key))) {
      throw new Refusal('duplicate-key', JSON.stringify(key));
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

function overlaps(span: EtcdSpan, key: string): boolean {
  const isWithoutEnd = 'prefix' in span ? span.prefix === '' : 'start' in span && span.end === undefined;
  return !isWithoutEnd && covers(span, key);
}

/** About what a client's transaction takes on the wire. */
export function sizeOf({ compare, then, otherwise = [] }: Transaction): number {
  let bytes = 0;
  for (const each of compare)
    bytes += Buffer.byteLength(firstOf(each)) + (each.target === 'value' ? Buffer.byteLength(each.than) : 8);
  for (const operation of [...then, ...otherwise]) {
    if (operation.type === 'txn') bytes += sizeOf(operation);
    else
      bytes +=
        Buffer.byteLength(firstOf(operation)) + (operation.type === 'put' ? Buffer.byteLength(operation.value) : 0);
  }
  return bytes;
}
