import { expectDuration, show } from '../arguments.ts';
import type { Replica } from './replica.ts';

/** How a value is known: proved within twice `freshnessMs`, not proved for longer, or only from a file of an earlier process. */
export type Source = 'live' | 'stale' | 'snapshot';

/** How stale an answer from memory may be, and what then. */
export interface StalenessOptions {
  /**
   * How old an answer may be, in milliseconds. At least twice `freshnessMs`.
   * @default 30_000, or twice `freshnessMs` if that is more
   */
  readonly maxStalenessMs?: number | undefined;
  /**
   * What to do with what is older: serve it with its age, or throw TooStaleError.
   * @default 'serve'
   */
  readonly onStale?: 'serve' | 'throw' | undefined;
  /**
   * How often freshness is proved, in milliseconds, by one small call a span and process, whatever the number of readers.
   * @default 5_000
   */
  readonly freshnessMs?: number | undefined;
}

export interface Staleness {
  readonly maxStalenessMs: number;
  readonly isStrict: boolean;
  readonly freshnessMs: number;
}

/** How what a replica shows is known, now. */
export function sourceOf(replica: Replica): Source {
  if (replica.origin === 'snapshot') return 'snapshot';
  return replica.isFresh() ? 'live' : 'stale';
}

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeStaleness(options: StalenessOptions): Staleness {
  const { freshnessMs = 5_000, onStale = 'serve' } = options;
  expectDuration('freshnessMs', freshnessMs, 1);
  const { maxStalenessMs = Math.max(30_000, 2 * freshnessMs) } = options;
  expectDuration('maxStalenessMs', maxStalenessMs, 1);
  if (maxStalenessMs < 2 * freshnessMs) {
    throw new RangeError(`Expected maxStalenessMs >= 2 × freshnessMs, got ${maxStalenessMs} and ${freshnessMs}`);
  }
  if (onStale !== 'serve' && onStale !== 'throw') {
    throw new TypeError(`Expected onStale to be 'serve' or 'throw', got ${show(onStale)}`);
  }
  return { maxStalenessMs, isStrict: onStale === 'throw', freshnessMs };
}
