import { expectDuration, expectGivenOptions, expectOptions, expectSignal, expectWholeNumber } from '../arguments.ts';

/** What the partitions are to be. */
export interface PartitionsOptions {
  /**
   * How many there are, 1 to 1,024. All processes have to say the same number: a key would be in two partitions at a time otherwise. Several for
   * each member there may ever be: by chance some members have twice as many as others.
   */
  readonly count: number;
}

/** How owning comes to its end. */
export interface OwnOptions {
  /** Ends it: all work is told to stop and waited for, and what it held goes to others. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long work may go on after it was told to stop before that is logged, and before `own` gives up waiting for it at its end, in
   * milliseconds. A partition is never given away under running work.
   * @default 10_000
   */
  readonly drainMs?: number | undefined;
}

/** Each member has a queue key for each of its partitions, and looks at all of them when members change. */
const MOST_PARTITIONS = 1_024;

const DEFAULT_DRAIN_MS = 10_000;

/** Throws a TypeError or RangeError that names what is wrong. */
export function completePartitionsOptions(options: PartitionsOptions): { readonly count: number } {
  expectGivenOptions('partitions', options, ['count']);
  return { count: expectWholeNumber('count', options.count, 1, MOST_PARTITIONS) };
}

/** Throws a TypeError or RangeError that names what is wrong. */
export function completeOwnOptions(options: OwnOptions): {
  readonly signal: AbortSignal | undefined;
  readonly drainMs: number;
} {
  expectOptions('own', options, ['signal', 'drainMs']);
  const { drainMs = DEFAULT_DRAIN_MS } = options;
  return { signal: expectSignal(options.signal), drainMs: expectDuration('drainMs', drainMs) };
}
