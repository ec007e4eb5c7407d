/** What the audit judges by, as the acts and the witness take it down. */
import type { Stretch } from './quotes.ts';

/** etcd was away. */
export interface Outage {
  /** On the machine's monotonic clock, in nanoseconds. */
  readonly from: bigint;
  readonly to: bigint;
}

export function lengthMs({ from, to }: Outage): number {
  return Number(to - from) / 1e6;
}

/** A token that the guard refused. */
export interface Refusal {
  readonly worker: string;
  readonly id: string;
  readonly account: string;
  readonly token: bigint;
  readonly highest: bigint;
}

/** What a worker answered from memory. */
export interface Answers extends Stretch {
  readonly worker: string;
}

/** A worker works by a version from here on. */
export interface Configured {
  readonly worker: string;
  readonly version: number;
  /** On the machine's monotonic clock, in nanoseconds. */
  readonly at: bigint;
}
