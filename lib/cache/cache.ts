/**
 * Cached reads: keys under a prefix, answered from memory. All of them ({@link PrefixCache}), or those that were asked for
 * ({@link OnDemandCache}).
 *
 * Guarantees. `get` does no I/O. Every value served was the store's at some revision, which does not go back for one reader unless a
 * resync announces it. The age is at least the true staleness. A cache sees its own writes. With `onStale: 'throw'` nothing older than
 * `maxStalenessMs` is served.
 *
 * Not guaranteed. That a value is the newest: it is as old as its `ageMs` says. `read(key, { consistency: 'linearizable' })` asks.
 */
import { expectOptions, expectRevision, show } from '../arguments.ts';
import type { ReaderContext, ReaderNames } from '../replica/reader-calls.ts';
import type { Replicas } from '../replica/replicas.ts';
import type { Sequence } from '../sequence/sequence.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import type { CachedEntry } from './cached-entry.ts';

/** How to wait for the first list. */
export interface ReadyOptions {
  /**
   * How long to wait, in milliseconds.
   * @default the request's deadline
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** What an answer has to be, if not what is known now. */
export interface ReadOptions {
  /**
   * `linearizable` proves by one small call, through raft, that what is known is the newest.
   * @default 'cached'
   */
  readonly consistency?: 'cached' | 'linearizable' | undefined;
  /** Waits until at least this revision is known. */
  readonly minRevision?: bigint | undefined;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Under what condition to write. */
export interface WriteOptions {
  /** Only if the key's last write was this revision; `0n`: only if there is none. */
  readonly ifRevision?: bigint | undefined;
  /** Ends the waiting; OutcomeUnknownError if the write was sent by then and not answered. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A key was put or deleted at a revision. `resynced`: it was found by comparing over a gap; of what happened in between only the end is told.
 */
export type CacheChange =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      readonly revision: bigint;
      readonly resynced?: true;
    }
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint; readonly resynced?: true };

/** What a cache has done since it was made, and how it stands. */
export interface CacheStats {
  /** The keys in memory; with `keys: 'on-demand'` those that are known to be absent count, too. */
  readonly entries: number;
  /** How often a value was served from memory; with `keys: 'on-demand'`, or the knowledge that there is none. */
  readonly hits: number;
  /** How often there was none; with `keys: 'on-demand'`, how often the key was not kept. */
  readonly misses: number;
  /** How many keys `max` and `maxBytes` have put out; always 0 where all keys are kept. */
  readonly evictions: number;
  /** Up to which revision every key in memory is known; `0n` while nothing is. */
  readonly revision: bigint;
  /** Milliseconds since what is in memory was proved to be the store's: of the key for which that is longest. */
  readonly ageMs: number;
  /** How often a list was made anew over a gap. */
  readonly resyncs: number;
}

/** Keys under a prefix, answered from memory. Made by `coordinator.cache`. */
export interface Cache extends AsyncDisposable {
  /** As it was given to the coordinator. Keys are given without it. */
  readonly prefix: string;

  /**
   * Resolves once the store's entries are known; with `keys: 'on-demand'` there is nothing to list, and it resolves at once, without I/O.
   * Rejects with CoordinationUnavailableError after `timeoutMs`, with ClosedError, and with what the store refuses for good.
   */
  ready(options?: ReadyOptions): Promise<void>;

  /**
   * The value from memory; no I/O. `undefined`: there is none, or nothing is known (yet): before {@link ready}, or, with
   * `keys: 'on-demand'`, of a key that is not kept: {@link read} tells the one from the other. With `onStale: 'throw'`: TooStaleError
   * for what is older than `maxStalenessMs`.
   */
  get(key: string): CachedEntry | undefined;

  /**
   * As {@link get}, but it may wait: for the first list, for a revision, for the proof that nothing newer exists, or, with
   * `keys: 'on-demand'`, for a key that is not kept yet. `undefined` means that there is none. Rejects with CoordinationUnavailableError after the
   * request's deadline (for a key that is not kept, at once while degraded), AccessDeniedError, LimitExceededError, TooStaleError,
   * ClosedError, and with `signal.reason`.
   */
  read(key: string, options?: ReadOptions): Promise<CachedEntry | undefined>;

  /**
   * Writes, and resolves once this cache shows it; with `keys: 'on-demand'` a key that is not kept is only written. Rejects with
   * VersionConflictError, LimitExceededError, CoordinationUnavailableError (at once while degraded: nothing is queued; or it was written, and
   * this cache does not show it by the deadline, as the message then says), OutcomeUnknownError, AccessDeniedError, ClosedError.
   */
  put(key: string, value: string, options?: WriteOptions): Promise<void>;

  /** Deletes, and resolves once this cache shows it. Errors as {@link put}. */
  delete(key: string, options?: WriteOptions): Promise<void>;

  /**
   * Every change from now on, in order; over a gap, what led from what was known to what is, marked `resynced`. With
   * `keys: 'on-demand'`: of the keys that are kept, in order for each of them; that a key is loaded or put out is no change. Ends with
   * LimitExceededError when the reader is 10,000 changes behind.
   */
  watch(options?: { readonly signal?: AbortSignal | undefined }): Sequence<CacheChange>;

  /** Counts since the cache was made. With `keys: 'on-demand'` it looks at every kept key: once a second, and not in a hot path. */
  stats(): CacheStats;

  /** Stops following. What is known stays readable, and grows older. Idempotent. */
  close(): Promise<void>;
}

/** What the caches of one coordinator share. */
export interface CacheContext extends ReaderContext {
  readonly replicas: Replicas;
  readonly operations: Operations;
  readonly keyspace: Keyspace;
  /** Those that are open, for the coordinator to close. */
  readonly opened: Set<{ close(): Promise<void> }>;
}

/** How errors name the cache of a prefix. */
export function namesOf(prefix: string): ReaderNames {
  const name = `cache ${show(prefix)}`;
  return { subject: `The ${name}`, object: `in the ${name}` };
}

/** Completes the options of a read. Throws a TypeError that names what is wrong. */
export function completeReadOptions(options: ReadOptions): {
  readonly isLinearizable: boolean;
  readonly minRevision: bigint | undefined;
} {
  expectOptions('read', options, ['consistency', 'minRevision', 'signal']);
  const { consistency = 'cached', minRevision } = options;
  if (consistency !== 'cached' && consistency !== 'linearizable') {
    throw new TypeError(`Expected consistency to be 'cached' or 'linearizable', got ${show(consistency)}`);
  }
  if (minRevision !== undefined) expectRevision('minRevision', minRevision);
  return { isLinearizable: consistency === 'linearizable', minRevision };
}
