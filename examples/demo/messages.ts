/** What the demo and its workers tell each other, over the channel that a forked process has. Structured clones: bigints stay bigints. */
import type { JobRecord } from 'holdfast';
import type { AccountsAddress, Fenced } from './accounts.ts';
import type { Transfer } from './jobs.ts';
import type { Stretch } from './quotes.ts';
import type { Start, Statement } from './statement.ts';

/** What a worker is started with, as JSON on its command line. */
export interface WorkerOrders {
  readonly name: string;
  readonly endpoint: string;
  readonly accounts: AccountsAddress;
  readonly ttlMs: number;
  readonly seed: number;
}

export type ToWorker =
  | { readonly type: 'take'; readonly job: Transfer }
  /** To end the scheduled job for all workers, and to tell what became of its ticks. */
  | { readonly type: 'end-statements' }
  | { readonly type: 'finish' };

/** How an attempt at a transfer ended. Everything but `applied` and `repeated` gives the job back. */
export type Outcome =
  | { readonly kind: 'applied' | 'repeated'; readonly touched: readonly Fenced[] }
  /** Somebody else held an account all the time. */
  | { readonly kind: 'busy' }
  /** etcd does not answer. */
  | { readonly kind: 'unavailable' }
  /** The lock was lost on the way, or the write's outcome is unknown. */
  | { readonly kind: 'lost'; readonly message: string }
  /** The guard refused a token, since it has seen a newer one. */
  | { readonly kind: 'stale'; readonly account: string; readonly token: bigint; readonly highest: bigint };

export type FromWorker =
  | { readonly type: 'idle' }
  | { readonly type: 'health'; readonly state: string }
  /** It works by this version of the pace from here on; `at` is on the same clock as those of `granted`. */
  | { readonly type: 'configured'; readonly version: number; readonly at: bigint }
  | { readonly type: 'answered'; readonly stretch: Stretch }
  /** The locks were granted; when they were asked for, and when that was known, is on the machine's monotonic clock, in nanoseconds. */
  | {
      readonly type: 'granted';
      readonly job: Transfer;
      readonly touched: readonly Fenced[];
      readonly askedAt: bigint;
      readonly at: bigint;
    }
  /** The balances are read and the write sets out; it does not arrive before `arrival`, on the same clock. */
  | {
      readonly type: 'writing';
      readonly job: Transfer;
      readonly touched: readonly Fenced[];
      readonly arrival: bigint;
    }
  | { readonly type: 'settled'; readonly job: Transfer; readonly outcome: Outcome }
  /** It leads the scheduled job and begins a run of it, which writes nothing before `writesAt`, on the same clock. */
  | { readonly type: 'started'; readonly start: Start; readonly writesAt: bigint }
  /** The books have a statement of this tick. */
  | { readonly type: 'stated'; readonly statement: Statement }
  | { readonly type: 'ended'; readonly records: readonly JobRecord[] };
