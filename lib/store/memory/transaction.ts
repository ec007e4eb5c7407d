/**
 * Transactions, as `etcdserver/apply.go` applies them:
 *
 * 1. the path through all levels is chosen first, so nested compares see the store as it was before the transaction;
 * 2. what stands on that path is checked: leases to exist, revisions to be readable; one failure and nothing is applied;
 * 3. the path is applied in order, all writes at one revision; ranges see the writes before them.
 */
import { StoreError } from '../store-error.ts';
import type { Compare, KeyValue, Operation, OperationResponse, Transaction, TransactionResponse } from '../store.ts';
import type { Applied, Batch, Mvcc, ReadView } from './mvcc.ts';
import { checkTransaction } from './transaction-check.ts';

/** What a write means to the leases: a put takes a key from its lease and gives it to another, a delete takes it. */
export interface LeaseView {
  has(lease: bigint): boolean;
  attach(key: string, lease: bigint): void;
  detach(key: string): void;
}

type Write = Extract<Operation, { readonly type: 'put' | 'delete' }>;

/** The branches to take: of a transaction, and of each one nested in the taken branch, in its order. */
interface Path {
  readonly succeeded: boolean;
  readonly operations: readonly Operation[];
  readonly nested: readonly Path[];
}

export function applyTransaction(
  mvcc: Mvcc,
  leases: LeaseView,
  transaction: Transaction,
): { readonly response: TransactionResponse; readonly applied: Applied | undefined } {
  checkTransaction(transaction);
  const path = choosePath(mvcc, transaction);
  checkPath(mvcc, leases, path);
  const batch = mvcc.begin();
  const response = walk(path, batch, (operation) => writeTo(batch, leases, operation));
  const { revision } = batch;
  return { response: stamp(response, revision), applied: batch.end() };
}

/** A transaction that only reads. It answers from one member, which may be behind. */
export function readTransaction(view: ReadView, transaction: Transaction): TransactionResponse {
  checkTransaction(transaction);
  const path = choosePath(view, transaction);
  checkRevisions(view, operationsOf(path));
  const refuse = (): never => {
    throw new Error('Expected a transaction that only reads');
  };
  return stamp(walk(path, view, refuse), view.revision);
}

/** Whether a transaction can write, whichever branch it takes: then it goes through raft. */
export function isWrite({ then, otherwise = [] }: Transaction): boolean {
  return [...then, ...otherwise].some((operation) =>
    operation.type === 'txn' ? isWrite(operation) : operation.type !== 'range',
  );
}

/** Whether etcd counts it against its space quota: only puts that stand at the top, in either branch. */
export function costsSpace({ then, otherwise = [] }: Transaction): boolean {
  return [...then, ...otherwise].some((operation) => operation.type === 'put');
}

function choosePath(view: ReadView, transaction: Transaction): Path {
  const succeeded = transaction.compare.every((compare) => holds(view, compare));
  const operations = succeeded ? transaction.then : (transaction.otherwise ?? []);
  const nested = operations.flatMap((operation) => (operation.type === 'txn' ? [choosePath(view, operation)] : []));
  return { succeeded, operations, nested };
}

function holds(view: ReadView, compare: Compare): boolean {
  const { entries } = view.range(compare);
  // There is no way to write a missing value, so it compares as unequal to every value, and not even that with '!='.
  if (entries.length === 0) return compare.target !== 'value' && compareEntry(compare, MISSING);
  return entries.every((entry) => compareEntry(compare, entry));
}

const MISSING: KeyValue = { key: '', value: '', createRevision: 0n, modRevision: 0n, version: 0n, lease: 0n };

function compareEntry(compare: Compare, entry: KeyValue): boolean {
  if (compare.target === 'value') return (entry.value === compare.than) === (compare.is === '=');
  const actual = { create: entry.createRevision, mod: entry.modRevision, version: entry.version }[compare.target];
  if (compare.is === '<') return actual < compare.than;
  if (compare.is === '>') return actual > compare.than;
  return (actual === compare.than) === (compare.is === '=');
}

/** With a lease and a revision wrong, etcd complains about the lease. */
function checkPath(view: ReadView, leases: LeaseView, path: Path): void {
  const operations = operationsOf(path);
  for (const operation of operations) {
    if (operation.type !== 'put' || operation.lease === undefined || operation.lease === 0n) continue;
    if (!leases.has(operation.lease)) throw leaseNotFound(operation.lease);
  }
  checkRevisions(view, operations);
}

function checkRevisions(view: ReadView, operations: readonly Operation[]): void {
  for (const operation of operations) {
    if (operation.type === 'range') view.expectReadable(operation.revision ?? 0n);
  }
}

function operationsOf({ operations, nested }: Path): readonly Operation[] {
  return [...operations, ...nested.flatMap(operationsOf)];
}

/** The operations of the path in order: `view` answers what reads, `write` does the rest. */
function walk(path: Path, view: ReadView, write: (operation: Write) => OperationResponse): TransactionResponse {
  let nested = 0;
  const responses = path.operations.map((operation): OperationResponse => {
    if (operation.type === 'txn') return { type: 'txn', ...walk(path.nested[nested++] as Path, view, write) };
    if (operation.type === 'range') return { type: 'range', ...view.range(operation) };
    return write(operation);
  });
  return { succeeded: path.succeeded, revision: 0n, responses };
}

function writeTo(batch: Batch, leases: LeaseView, operation: Write): OperationResponse {
  if (operation.type === 'put') {
    batch.put(operation.key, operation.value, operation.lease ?? 0n);
    leases.attach(operation.key, operation.lease ?? 0n);
    return { type: 'put' };
  }
  const keys = batch.delete(operation);
  for (const key of keys) leases.detach(key);
  return { type: 'delete', deleted: keys.length };
}

/** The whole transaction has one revision, which is known when its last operation is done. */
function stamp(response: TransactionResponse, revision: bigint): TransactionResponse {
  const responses = response.responses.map((each) =>
    each.type === 'txn' ? { ...each, ...stamp(each, revision) } : each,
  );
  return { ...response, revision, responses };
}

export function leaseNotFound(lease: bigint): StoreError {
  return new StoreError('lease-not-found', 'permanent', `Lease ${lease.toString(16)} does not exist`);
}
