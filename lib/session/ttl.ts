import { expectWholeNumber, show } from '../arguments.ts';

/** How long before its end a lease is not trusted any more: a tenth, at least 200 ms. Clock drift and the delivery of an abort need it. */
export function marginMs(grantedTtlMs: number): number {
  return Math.max(200, grantedTtlMs / 10);
}

/** Nobody wants to wait longer than a day for what a process has left behind. */
const MOST_SESSION_TTL_MS = 86_400_000;

/** A TTL as it is asked for: whole seconds, rounded up. Throws a RangeError for what cannot be one. */
export function roundTtlMs(option: string, ttlMs: number, mostMs: number = MOST_SESSION_TTL_MS): number {
  if (typeof ttlMs !== 'number' || !Number.isFinite(ttlMs) || ttlMs < 1_000) {
    throw new RangeError(`Expected ${option} to be milliseconds, at least 1000, got ${show(ttlMs)}`);
  }
  return expectWholeNumber(option, Math.ceil(ttlMs / 1_000) * 1_000, 1_000, mostMs);
}
