import { expectBoolean, expectDuration, expectOptions, expectSignal } from '../arguments.ts';
import { roundTtlMs } from '../session/ttl.ts';

/** How long to wait for what is done once, and how long its record stands. */
export interface OnceOptions {
  /**
   * For how long the record stands, in milliseconds: at least 1,000, at most 30 days, rounded up to whole seconds. It counts from when the
   * work was done and the lease of the record was granted, and is never extended. After it the work is done again by whoever calls.
   * @default 86_400_000, a day
   */
  readonly ttlMs?: number | undefined;
  /**
   * How long to wait for the result of somebody else, or for the turn to do the work, in milliseconds. The work itself takes as long as it
   * takes.
   * @default no limit
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting, and is forwarded to `turn.signal`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Go on waiting while there is no contact with etcd for longer than a lease lasts, instead of rejecting at once.
   * @default false
   */
  readonly waitForRecovery?: boolean | undefined;
}

export interface CompleteOnceOptions {
  readonly ttlMs: number;
  /** Infinity: no limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly waitForRecovery: boolean;
}

const DAY_MS = 86_400_000;

const MOST_TTL_MS = 30 * DAY_MS;

/** Throws a TypeError or RangeError for what cannot be. */
export function completeOptions(options: OnceOptions): CompleteOnceOptions {
  expectOptions('once', options, ['ttlMs', 'timeoutMs', 'signal', 'waitForRecovery']);
  const { ttlMs = DAY_MS, timeoutMs, signal, waitForRecovery = false } = options;
  if (timeoutMs !== undefined) expectDuration('timeoutMs', timeoutMs);
  expectBoolean('waitForRecovery', waitForRecovery);
  return {
    ttlMs: roundTtlMs('ttlMs', ttlMs, MOST_TTL_MS),
    timeoutMs: timeoutMs ?? Number.POSITIVE_INFINITY,
    signal: expectSignal(signal),
    waitForRecovery,
  };
}
