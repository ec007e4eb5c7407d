import { expectOptions, expectWholeNumber, show } from '../arguments.ts';
import { completeStaleness, type Staleness, type StalenessOptions } from '../replica/staleness.ts';

/** Every key under the prefix is kept. */
export interface PrefixCacheOptions extends StalenessOptions {
  /**
   * Which keys are kept: all under the prefix, or those that were read.
   * @default 'all'
   */
  readonly keys?: 'all' | undefined;
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

/** The keys that were read last are kept, those that were found absent among them. */
export interface OnDemandCacheOptions extends StalenessOptions {
  /** Tells it from a cache of all keys. */
  readonly keys: 'on-demand';
  /**
   * The most keys that are kept; beyond it the one goes whose last `get` or `read` is longest ago. At most 1,000,000.
   * @default 10_000
   */
  readonly max?: number | undefined;
  /**
   * About how many bytes their keys and values may take; beyond it keys go as beyond `max`. What the following of each key takes is not
   * in it: docs/cache.md tells how much that is.
   * @default 67_108_864
   */
  readonly maxBytes?: number | undefined;
}

/** Which keys a cache keeps, how many, and how old they may be. */
export type CacheOptions = PrefixCacheOptions | OnDemandCacheOptions;

export interface CompletePrefixOptions extends Staleness {
  readonly keys: 'all';
  readonly maxEntries: number;
  readonly maxBytes: number;
}

export interface CompleteOnDemandOptions extends Staleness {
  readonly keys: 'on-demand';
  readonly max: number;
  readonly maxBytes: number;
}

const STALENESS = ['maxStalenessMs', 'onStale', 'freshnessMs'] as const;

/** lru-cache makes room for all of them at once. */
const MOST_KEYS = 1_000_000;

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeOptions(options: CacheOptions): CompletePrefixOptions | CompleteOnDemandOptions {
  expectOptions('cache', options, ['keys', 'max', 'maxEntries', 'maxBytes', ...STALENESS] as never[]);
  const { keys = 'all' } = options;
  if (keys !== 'all' && keys !== 'on-demand') {
    throw new TypeError(`Expected keys to be 'all' or 'on-demand', got ${show(keys)}`);
  }
  /* The same name must not mean "fail beyond" here and "forget beyond" there. */
  const { max, maxEntries } = options as { readonly max?: number; readonly maxEntries?: number };
  if (keys === 'all' && max !== undefined) {
    throw new TypeError(
      `Expected max only with keys: 'on-demand', got ${show(max)}; maxEntries limits what is kept here`,
    );
  }
  if (keys === 'on-demand' && maxEntries !== undefined) {
    throw new TypeError(
      `Expected no maxEntries with keys: 'on-demand', got ${show(maxEntries)}; max limits what is kept here`,
    );
  }
  const { maxBytes = 64 * 1024 * 1024 } = options;
  expectWholeNumber('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER);
  const staleness = completeStaleness(options);
  if (keys === 'on-demand') {
    return { keys, max: expectWholeNumber('max', max ?? 10_000, 1, MOST_KEYS), maxBytes, ...staleness };
  }
  const most = expectWholeNumber('maxEntries', maxEntries ?? 100_000, 1, Number.MAX_SAFE_INTEGER);
  return { keys, maxEntries: most, maxBytes, ...staleness };
}
