import { appendFileSync, readFileSync } from 'node:fs';
import type { Stall } from '../election/stalls.ts';

/**
 * What a client process writes down of itself, one event a line, at once: it may be killed with the next instruction. Every `at` is the
 * machine's monotonic clock in milliseconds, which all processes share.
 */
export type HistoryEvent =
  | Call
  | Settled
  | Granted
  | Held
  | Lost
  | Change
  | Served
  | Shown
  | Returned
  | Start
  | Resources
  | ({ readonly kind: 'stall' } & Stall);

export type Workload =
  | 'lock'
  | 'shared'
  | 'election'
  | 'cache'
  | 'config'
  | 'schedule'
  | 'partition'
  | 'registry'
  | 'once';
export const workloads: readonly Workload[] = [
  ...(['lock', 'shared', 'election', 'cache', 'config', 'schedule'] as const),
  ...(['partition', 'registry', 'once'] as const),
];

/** What one process has at a time: each slot of the semaphore, each partition, and the turn at each key of `once` is one. */
export type Exclusive = 'lock' | 'election' | 'permit 0' | 'permit 1' | 'write' | PartitionTenure | `turn ${string}`;
export type PartitionTenure = `partition ${number}`;

export const partitions: readonly PartitionTenure[] = Array.from(
  { length: 6 },
  (_, number) => `partition ${number}` as const,
);
export const onceKeys: readonly string[] = ['a', 'b', 'c'];
export const exclusives: readonly Exclusive[] = [
  ...(['lock', 'election', 'permit 0', 'permit 1', 'write'] as const),
  ...partitions,
  ...onceKeys.map((key) => `turn ${key}` as const),
];

export function workloadOf(exclusive: Exclusive): Workload {
  if (exclusive === 'lock' || exclusive === 'election') return exclusive;
  if (exclusive.startsWith('partition ')) return 'partition';
  return exclusive.startsWith('turn ') ? 'once' : 'shared';
}

/** What has to get on, for a workload to get on: all partitions are to be owned. */
export function partsOf(workload: Workload): readonly (Workload | Exclusive)[] {
  return workload === 'partition' ? partitions : [workload];
}

export interface Call {
  readonly kind: 'call';
  readonly id: number;
  readonly workload: Workload;
  readonly what: string;
  /** It is to settle within that. */
  readonly limitMs: number;
  /** What it is about, where that matters: a cache's key, and the value that is written, which nobody else writes. */
  readonly key?: string;
  readonly value?: string;
  readonly at: number;
}

export interface Settled {
  readonly kind: 'settled';
  readonly id: number;
  /** `failed`: by the error's word it was not applied. */
  readonly outcome: 'ok' | 'failed' | 'unknown';
  readonly code?: string;
  readonly message?: string;
  /** What a read returned; absent: there was nothing. */
  readonly revision?: bigint;
  /** What `once` resolved to. */
  readonly value?: string;
  readonly at: number;
}

/** A lock or a leadership was granted; `since`: when it was asked for. */
export interface Granted {
  readonly kind: 'granted';
  readonly workload: Exclusive;
  readonly token: bigint;
  readonly since: number;
  readonly at: number;
}

/** `isHeld()` was true; taken before asking, so the belief lasted at least until then. */
export interface Held {
  readonly kind: 'held';
  readonly workload: Exclusive;
  readonly token: bigint;
  readonly at: number;
}

/** The signal of a lock or a leadership said so. */
export interface Lost {
  readonly kind: 'lost';
  readonly workload: Exclusive;
  readonly token: bigint;
  readonly at: number;
}

/** What a watch delivered. */
export interface Change {
  readonly kind: 'change';
  readonly workload: 'cache' | 'config';
  readonly key: string;
  /** Absent: it was deleted. */
  readonly value?: string;
  readonly revision: bigint;
  readonly resynced: boolean;
  readonly at: number;
}

/** What a read from memory gave; `at` was taken before it. */
export interface Served {
  readonly kind: 'served';
  readonly workload: 'cache' | 'config';
  readonly key: string;
  readonly value: string;
  readonly revision: bigint;
  readonly ageMs: number;
  /** The read followed an own write of this value at once. */
  readonly afterWrite?: string;
  readonly at: number;
}

/** Who was told to be there, by a watch or from memory; `at` was taken before it. */
export interface Shown {
  readonly kind: 'shown';
  readonly workload: 'registry';
  readonly how: 'watch' | 'members';
  /** Each with what it says of itself, in the order of their addresses. */
  readonly members: string;
  readonly revision: bigint;
  readonly ageMs: number;
  /** A registration of this process stands, as it knows. */
  readonly isRegistered: boolean;
  readonly at: number;
}

/** Work that is done once has ended, and returned a value that no other does. */
export interface Returned {
  readonly kind: 'returned';
  readonly key: string;
  readonly token: bigint;
  readonly value: string;
  readonly at: number;
}

/** The scheduled work was started. */
export interface Start {
  readonly kind: 'start';
  readonly scheduledFor: number;
  readonly attempt: number;
  readonly token: bigint;
  readonly at: number;
}

/** What its process needs, after the collector was at work; timers are handles, too. */
export interface Resources {
  readonly kind: 'resources';
  readonly heapBytes: number;
  readonly handles: number;
  readonly at: number;
}

/** Of one process: a client that was killed has another history for its next life. */
export interface History {
  readonly client: string;
  readonly events: readonly HistoryEvent[];
}

const BIGINT = /^\d+n$/;

/** JSON with bigints as text that ends in `n`. */
export function toJson(what: unknown): string {
  return JSON.stringify(what, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === 'string' && BIGINT.test(value) ? BigInt(value.slice(0, -1)) : value,
  );
}

export function append(file: string, event: HistoryEvent): void {
  appendFileSync(file, `${toJson(event)}\n`);
}

/** A process that was killed as it wrote has left half a line, the last. */
export function readHistory(client: string, file: string): History {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return { client, events: lines.map((line) => fromJson(line) as HistoryEvent) };
}
