/**
 * Transactions, as `etcdserver/apply.go` applies them:
 *
 * 1. the path through all levels is chosen first, so nested compares see the store as it was before the transaction;
 * 2. what stands on that path is checked: leases to exist, revisions to be readable; one failure and nothing is applied;
 * 3. the path is applied in order, all writes at one revision; ranges see the writes before them.
 */
import type { KeyValue } from '../store.ts';
import type {
  EtcdCompare,
  EtcdOperation,
  EtcdOperationResponse,
  EtcdPut,
  EtcdTransaction,
  EtcdTransactionResponse,
} from './etcd-requests.ts';
import { compareKeys } from './key-order.ts';
import type { Applied, Batch, Mvcc, ReadView } from './mvcc.ts';
import { Refusal } from './refusal.ts';

/** What a write means to the leases: a put takes a key from its lease and gives it to another, a delete takes it. */
export interface LeaseView {
  has(lease: bigint): boolean;
  attach(key: string, lease: bigint): void;
  detach(key: string): void;
}

type Write = Extract<EtcdOperation, { readonly type: 'put' | 'delete' }>;

/** The branches to take: of a transaction, and of each one nested in the taken branch, in its order. */
interface Path {
  readonly succeeded: boolean;
  readonly operations: readonly EtcdOperation[];
  readonly nested: readonly Path[];
}

export function applyTransaction(
  mvcc: Mvcc,
  leases: LeaseView,
  transaction: EtcdTransaction,
): { readonly response: EtcdTransactionResponse; readonly applied: Applied | undefined } {
  const path = choosePath(mvcc, transaction);
  checkPath(mvcc, leases, path);
  const batch = mvcc.begin();
  const response = walk(path, batch, (operation) => writeTo(batch, leases, operation));
  const { revision } = batch;
  return { response: stamp(response, revision), applied: batch.end() };
}

/** A transaction that only reads. It answers from one member, which may be behind. */
export function readTransaction(view: ReadView, transaction: EtcdTransaction): EtcdTransactionResponse {
  const path = choosePath(view, transaction);
  checkRevisions(view, operationsOf(path));
  const refuse = (): never => {
    throw new Error('Expected a transaction that only reads');
  };
  return stamp(walk(path, view, refuse), view.revision);
}

/** Whether a transaction can write, whichever branch it takes: then it goes through raft. */
export function isWrite({ then, otherwise = [] }: EtcdTransaction): boolean {
  return [...then, ...otherwise].some((operation) =>
    operation.type === 'txn' ? isWrite(operation) : operation.type !== 'range',
  );
}

/** Whether etcd counts it against its space quota: only puts that stand at the top, in either branch. */
export function costsSpace({ then, otherwise = [] }: EtcdTransaction): boolean {
  return [...then, ...otherwise].some((operation) => operation.type === 'put');
}

function choosePath(view: ReadView, transaction: EtcdTransaction): Path {
  const succeeded = transaction.compare.every((compare) => holds(view, compare));
  const operations = succeeded ? transaction.then : (transaction.otherwise ?? []);
  const nested = operations.flatMap((operation) => (operation.type === 'txn' ? [choosePath(view, operation)] : []));
  return { succeeded, operations, nested };
}

function holds(view: ReadView, compare: EtcdCompare): boolean {
  const { entries } = view.range(compare);
  // There is no way to write a missing value, so it compares as unequal to every value, and not even that with '!='.
  if (entries.length === 0) return compare.target !== 'value' && compareEntry(compare, MISSING);
  return entries.every((entry) => compareEntry(compare, entry));
}

const MISSING: KeyValue = { key: '', value: '', createRevision: 0n, modRevision: 0n, version: 0n, lease: 0n };

function compareEntry(compare: EtcdCompare, entry: KeyValue): boolean {
  const order = compareTarget(compare, entry);
  if (compare.is === '<') return order < 0;
  if (compare.is === '>') return order > 0;
  return (order === 0) === (compare.is === '=');
}

/** Negative, zero or positive, as the entry has less, as much or more than the compare names. */
function compareTarget(compare: EtcdCompare, entry: KeyValue): number {
  switch (compare.target) {
    case 'value':
      return compareKeys(entry.value, compare.than);
    case 'create':
      return compareNumbers(entry.createRevision, compare.than);
    case 'mod':
      return compareNumbers(entry.modRevision, compare.than);
    case 'version':
      return compareNumbers(entry.version, compare.than);
    case 'lease':
      return compareNumbers(entry.lease, compare.than);
  }
}

function compareNumbers(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** With a lease and a revision wrong, etcd complains about the lease. */
function checkPath(view: ReadView, leases: LeaseView, path: Path): void {
  const operations = operationsOf(path);
  for (const operation of operations) {
    if (operation.type === 'put') checkPut(view, leases, operation);
  }
  checkRevisions(view, operations);
}

function checkPut(view: ReadView, leases: LeaseView, put: EtcdPut): void {
  const { key, lease = 0n, ignoreValue, ignoreLease, isAlone } = put;
  const lacksLease = lease !== 0n && !leases.has(lease);
  if (lacksLease && isAlone === true) throw leaseNotFound(lease);
  const needsKey = ignoreValue === true || ignoreLease === true;
  if (needsKey && view.range({ key }).count === 0) {
    throw new Refusal('key-not-found', `there is no ${JSON.stringify(key)} whose value or lease could be kept`);
  }
  if (lacksLease) throw leaseNotFound(lease);
}

function checkRevisions(view: ReadView, operations: readonly EtcdOperation[]): void {
  for (const operation of operations) {
    if (operation.type === 'range') view.expectReadable(operation.revision ?? 0n);
  }
}

function operationsOf({ operations, nested }: Path): readonly EtcdOperation[] {
  let next = 0;
  return operations.flatMap((each) => (each.type === 'txn' ? operationsOf(nested[next++] as Path) : [each]));
}

/** The operations of the path in order: `view` answers what reads, `write` does the rest. */
function walk(path: Path, view: ReadView, write: (operation: Write) => EtcdOperationResponse): EtcdTransactionResponse {
  let nested = 0;
  const responses = path.operations.map((operation): EtcdOperationResponse => {
    if (operation.type === 'txn') return { type: 'txn', ...walk(path.nested[nested++] as Path, view, write) };
    if (operation.type === 'range') return { type: 'range', ...view.range(operation) };
    return write(operation);
  });
  return { succeeded: path.succeeded, revision: 0n, responses };
}

function writeTo(batch: Batch, leases: LeaseView, operation: Write): EtcdOperationResponse {
  if (operation.type === 'put') {
    const { key, ignoreValue, ignoreLease, prevKv } = operation;
    const before = batch.get(key);
    const value = ignoreValue === true ? (before?.value ?? '') : operation.value;
    const lease = ignoreLease === true ? (before?.lease ?? 0n) : (operation.lease ?? 0n);
    batch.put(key, value, lease);
    leases.attach(key, lease);
    return prevKv === true && before !== undefined ? { type: 'put', prevKv: before } : { type: 'put' };
  }
  const prevKvs = batch.delete(operation);
  for (const { key } of prevKvs) leases.detach(key);
  const deleted = prevKvs.length;
  return operation.prevKv === true ? { type: 'delete', deleted, prevKvs } : { type: 'delete', deleted };
}

/** The whole transaction has one revision, which is known when its last operation is done. */
function stamp(response: EtcdTransactionResponse, revision: bigint): EtcdTransactionResponse {
  const responses = response.responses.map((each) =>
    each.type === 'txn' ? { ...each, ...stamp(each, revision) } : each,
  );
  return { ...response, revision, responses };
}

export function leaseNotFound(lease: bigint): Refusal {
  return new Refusal('lease-not-found', `lease ${lease.toString(16)}`);
}
