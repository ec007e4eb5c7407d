import { completeOptions, type CacheOptions } from './cache-options.ts';
import type { Cache, CacheContext } from './cache.ts';
import { OnDemandCache } from './on-demand-cache.ts';
import { PrefixCache } from './prefix-cache.ts';

/** The cache that the options ask for. Throws a TypeError or RangeError for options that cannot work. */
export function openCache(context: CacheContext, prefix: string, options: CacheOptions): Cache {
  const complete = completeOptions(options);
  return complete.keys === 'all'
    ? new PrefixCache(context, prefix, complete)
    : new OnDemandCache(context, prefix, complete);
}
