import { expectDuration, expectOptions, expectWholeNumber, show } from '../arguments.ts';

export interface CacheOptions {
  /**
   * How old an answer may be, in milliseconds. At least twice `freshnessMs`.
   * @default 30_000
   */
  readonly maxStalenessMs?: number | undefined;
  /**
   * What to do with what is older: serve it with its age, or throw TooStaleError.
   * @default 'serve'
   */
  readonly onStale?: 'serve' | 'throw' | undefined;
  /**
   * How often freshness is proved to readers, in milliseconds, by one small call a prefix and process.
   * @default 5_000
   */
  readonly freshnessMs?: number | undefined;
  /** @default 100_000 */
  readonly maxEntries?: number | undefined;
  /** @default 67_108_864 */
  readonly maxBytes?: number | undefined;
}

export type CompleteCacheOptions = { readonly [Option in keyof CacheOptions]-?: NonNullable<CacheOptions[Option]> };

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeOptions(options: CacheOptions): CompleteCacheOptions {
  expectOptions('cache', options, ['maxStalenessMs', 'onStale', 'freshnessMs', 'maxEntries', 'maxBytes']);
  const freshnessMs = expectDuration('freshnessMs', options.freshnessMs ?? 5_000, 1);
  const maxStalenessMs = expectDuration(
    'maxStalenessMs',
    options.maxStalenessMs ?? Math.max(30_000, 2 * freshnessMs),
    1,
  );
  if (maxStalenessMs < 2 * freshnessMs) {
    throw new RangeError(`Expected maxStalenessMs >= 2 × freshnessMs, got ${maxStalenessMs} and ${freshnessMs}`);
  }
  const { onStale = 'serve' } = options;
  if (onStale !== 'serve' && onStale !== 'throw') {
    throw new TypeError(`Expected onStale to be 'serve' or 'throw', got ${show(onStale)}`);
  }
  return {
    freshnessMs,
    maxStalenessMs,
    onStale,
    maxEntries: expectWholeNumber('maxEntries', options.maxEntries ?? 100_000, 1, Number.MAX_SAFE_INTEGER),
    maxBytes: expectWholeNumber('maxBytes', options.maxBytes ?? 64 * 1024 * 1024, 1, Number.MAX_SAFE_INTEGER),
  };
}
