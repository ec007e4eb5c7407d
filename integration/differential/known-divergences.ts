/**
 * Every difference between the embedded etcd and a real one that the differential test does not count as one. A difference that is in
 * neither list fails it. Three kinds of requests are never made up (`wire-requests.ts`): an end of a range that is sent but empty, a lease
 * whose ID is left to the server, and what docs/testing.md says is not served. That page tells users of the differences that they can meet.
 */
import type { EtcdVersion } from '../provision/etcd.ts';
import type { WireRequest } from './wire-client.ts';

/** A field in which servers may differ. Where it is not `isAlike`, it has to be the same. */
export interface LooseField {
  readonly field: string;
  /** Only in the answers to this method. @default in all */
  readonly method?: string;
  readonly because: string;
  readonly isAlike: (theirs: unknown, ours: unknown) => boolean;
}

const bothOrNeither = (theirs: unknown, ours: unknown): boolean => Number(theirs) > 0 === Number(ours) > 0;
/** Whole seconds: what is left comes to the next one a moment earlier at one of the two, the last one included. Whether it is there, grantedTTL tells. */
const nearOrBothLeft = (theirs: unknown, ours: unknown): boolean =>
  bothOrNeither(theirs, ours) || Math.abs(Number(theirs) - Number(ours)) <= 1;
const bothThere = (theirs: unknown, ours: unknown): boolean => Boolean(theirs) && Boolean(ours);
const sameSet = (theirs: unknown, ours: unknown): boolean => sorted(theirs) === sorted(ours);

export const looseFields: readonly LooseField[] = [
  { field: 'cluster_id', because: 'each cluster has an ID of its own', isAlike: bothOrNeither },
  { field: 'member_id', because: 'each member has an ID of its own', isAlike: bothOrNeither },
  { field: 'leader', method: 'status', because: 'it is the ID of a member', isAlike: bothOrNeither },
  { field: 'ID', method: 'memberList', because: 'it is the ID of a member', isAlike: bothOrNeither },
  {
    field: 'peerURLs',
    method: 'memberList',
    because: 'ports differ, and one of the two has no peers',
    isAlike: bothThere,
  },
  { field: 'clientURLs', method: 'memberList', because: 'ports differ', isAlike: bothThere },
  { field: 'dbSize', method: 'status', because: 'there is no file, so it is an estimate', isAlike: bothOrNeither },
  { field: 'dbSizeInUse', method: 'status', because: 'there is no file, so it is an estimate', isAlike: bothOrNeither },
  { field: 'raftIndex', method: 'status', because: 'there is no log of raft', isAlike: bothOrNeither },
  { field: 'raftAppliedIndex', method: 'status', because: 'there is no log of raft', isAlike: bothOrNeither },
  { field: 'header', method: 'alarm', because: '3.4 sends none', isAlike: (theirs) => theirs === null },
  { field: 'TTL', method: 'leaseTimeToLive', because: 'what is left is up to the clock', isAlike: nearOrBothLeft },
  { field: 'keys', method: 'leaseTimeToLive', because: "etcd keeps them in one of Go's maps", isAlike: sameSet },
];

/** A request that is not sent, because its answers are known to differ. */
export interface SetAside {
  readonly name: string;
  readonly because: string;
  readonly concerns: (request: WireRequest, situation: Situation) => boolean;
}

export interface Situation {
  /** Whether anything was compacted yet. */
  readonly isCompacted: boolean;
}

export const setAside: readonly SetAside[] = [
  {
    name: 'a first compaction at revision 0',
    because: 'etcd takes it, to no effect; the model begins with revision 0 compacted',
    concerns: ({ method, request }, { isCompacted }) =>
      method === 'compact' && !isCompacted && (request as { readonly revision: string }).revision === '0',
  },
  {
    name: 'a put in one transaction with a delete that has no end',
    because: 'etcd does not see that they overlap, against its own rule, and its answers then contradict its history',
    concerns: ({ method, request }) => {
      if (method !== 'txn') return false;
      const operations = operationsIn(request);
      return (
        operations.some(({ request_put }) => request_put) &&
        operations.some(({ request_delete_range }) => isWithoutEnd(request_delete_range?.range_end))
      );
    },
  },
  {
    name: 'a transaction with an operation that is none',
    because: 'the embedded one refuses that before anything else that may be wrong, etcd where it comes upon it',
    concerns: ({ method, request }) =>
      method === 'txn' && operationsIn(request).some((operation) => Object.keys(operation).length === 0),
  },
  {
    name: 'a range that is sorted by a target which has no name',
    because: "etcd's process dies of it; the embedded one sorts by key",
    concerns: ({ method, request }) => {
      const ranges =
        method === 'range' ? [request as Range] : operationsIn(request).map(({ request_range }) => request_range);
      return ranges.some((range) => typeof range?.sort_target === 'number');
    },
  },
];

/**
 * Whether a stream can be asked for its progress. Before 3.5.30 etcd reports it also while one of the watches waits for its start or (3.4)
 * was ended by a compaction; the embedded one does as 3.5.30.
 */
export function reportsProgressAlike(version: EtcdVersion, areAllInStep: boolean): boolean {
  return version === '3.5.30' || areAllInStep;
}

/**
 * Whether a watch can be opened. From a revision below zero there is none in 3.5.30; before, etcd begins one, which hears nothing until it
 * is ended by a compaction. The embedded one does as 3.5.30.
 */
export function opensAlike(version: EtcdVersion, startRevision: string): boolean {
  return version === '3.5.30' || Number(startRevision) >= 0;
}

export interface Transaction {
  readonly success?: readonly Operation[];
  readonly failure?: readonly Operation[];
}

interface Range {
  readonly sort_target?: string | number;
}

export interface Operation {
  readonly request_put?: object;
  readonly request_range?: Range;
  readonly request_delete_range?: { readonly range_end?: Buffer };
  readonly request_txn?: Transaction;
}

/** All that stands in a transaction, whichever branch it takes. */
export function operationsIn({ success = [], failure = [] }: Transaction): readonly Operation[] {
  return [...success, ...failure].flatMap((each) =>
    each.request_txn === undefined ? [each] : [each, ...operationsIn(each.request_txn)],
  );
}

function isWithoutEnd(end: Buffer | undefined): boolean {
  return end?.length === 1 && end[0] === 0;
}

function sorted(keys: unknown): string {
  return (keys as readonly Buffer[])
    .map((key) => key.toString('hex'))
    .toSorted()
    .join();
}
