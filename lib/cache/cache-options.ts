import { expectOptions, expectWholeNumber } from '../arguments.ts';
import type { Limits } from '../replica/listing.ts';
import { completeStaleness, type Staleness, type StalenessOptions } from '../replica/staleness.ts';

export interface CacheOptions extends StalenessOptions {
  /**
   * The most entries that are kept; more fail the cache.
   * @default 100_000
   */
  readonly maxEntries?: number | undefined;
  /**
   * About how much memory they may take; more fails the cache.
   * @default 67_108_864
   */
  readonly maxBytes?: number | undefined;
}

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeOptions(options: CacheOptions): Staleness & Limits {
  expectOptions('cache', options, ['maxStalenessMs', 'onStale', 'freshnessMs', 'maxEntries', 'maxBytes']);
  const { maxEntries = 100_000, maxBytes = 64 * 1024 * 1024 } = options;
  return {
    ...completeStaleness(options),
    maxEntries: expectWholeNumber('maxEntries', maxEntries, 1, Number.MAX_SAFE_INTEGER),
    maxBytes: expectWholeNumber('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER),
  };
}
