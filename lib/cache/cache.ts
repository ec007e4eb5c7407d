/**
 * Cached reads: the keys under a prefix, answered from memory.
 *
 * Guarantees. `get` does no I/O. Every value served was the store's at some revision, which does not go back for one reader unless a
 * resync announces it. The age is at least the true staleness. A cache sees its own writes. With `onStale: 'throw'` nothing older than
 * `maxStalenessMs` is served.
 *
 * Not guaranteed. That a value is the newest: it is as old as its `ageMs` says. `read(key, { consistency: 'linearizable' })` asks.
 */
import { expectDuration, expectOptions, expectSignal, expectText, show } from '../arguments.ts';
import {
  ClosedError,
  CoordinationUnavailableError,
  LimitExceededError,
  TooStaleError,
  VersionConflictError,
} from '../errors.ts';
import type { Health } from '../health/health.ts';
import type { Change } from '../replica/contents.ts';
import type { Replica } from '../replica/replica.ts';
import type { Replicas, ReplicaShare } from '../replica/replicas.ts';
import { DeadlineReached, underDeadline, withinDeadline } from '../runtime/deadline.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Changes } from '../sequence/changes.ts';
import type { Sequence } from '../sequence/sequence.ts';
import { decodePath, encodePath, type Keyspace } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import { asPublicError } from '../store/store-error.ts';
import type { KeyValue, Transaction } from '../store/store.ts';
import { completeOptions, type CacheOptions } from './cache-options.ts';
import { Entry, type CachedEntry } from './cached-entry.ts';

export interface ReadOptions {
  /**
   * `linearizable` proves by one small call, through raft, that what is known is the newest.
   * @default 'cached'
   */
  readonly consistency?: 'cached' | 'linearizable' | undefined;
  /** Waits until at least this revision is known. */
  readonly minRevision?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions {
  /** Only if the key's last write was this revision; `0n`: only if there is none. */
  readonly ifRevision?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type CacheChange =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      readonly revision: bigint;
      readonly resynced?: true;
    }
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint; readonly resynced?: true };

export interface CacheStats {
  readonly entries: number;
  readonly hits: number;
  readonly misses: number;
  /** Up to which revision the entries are known. */
  readonly revision: bigint;
  readonly ageMs: number;
  readonly resyncs: number;
}

/** What the caches of one coordinator share. */
export interface CacheContext {
  readonly runtime: Runtime;
  readonly replicas: Replicas;
  readonly operations: Operations;
  readonly health: Health;
  readonly keyspace: Keyspace;
  readonly deadlineMs: number;
  /** Those that are open, for the coordinator to close. */
  readonly opened: Set<{ close(): Promise<void> }>;
}

/** A sequence of changes ends when its reader is so many behind. */
const MAX_WAITING_CHANGES = 10_000;

/** etcd refuses larger requests by default. */
const MAX_VALUE_BYTES = 1_500_000;

export class Cache implements AsyncDisposable {
  readonly prefix: string;
  readonly #context: CacheContext;
  readonly #root: string;
  readonly #share: ReplicaShare;
  readonly #replica: Replica;
  readonly #maxStalenessMs: number;
  readonly #strict: boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Set<Changes<CacheChange>>();
  readonly #unfollow: () => void;
  #hits = 0;
  #misses = 0;
  #closed: ClosedError | undefined;

  /** @internal */
  constructor(context: CacheContext, prefix: string, options: CacheOptions) {
    const { maxStalenessMs, isStrict, ...replica } = completeOptions(options);
    this.#maxStalenessMs = maxStalenessMs;
    this.#strict = isStrict;
    this.prefix = prefix;
    this.#context = context;
    this.#root = context.keyspace.cache(prefix);
    this.#share = context.replicas.open({ span: { prefix: this.#root }, ...replica });
    this.#replica = this.#share.replica;
    for (const entry of this.#replica.entries.values()) this.#show(entry);
    this.#unfollow = this.#replica.follow({ changed: (changes) => this.#changed(changes) });
    context.opened.add(this);
  }

  /** Resolves once the store's entries are known. Rejects with CoordinationUnavailableError after `timeoutMs` (default: the deadline). */
  async ready(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    const { timeoutMs: deadlineMs = this.#context.deadlineMs } = options;
    expectDuration('timeoutMs', deadlineMs);
    await this.#within('read', options.signal, (signal) => this.#replica.reached(0n, signal), deadlineMs);
  }

  /**
   * The value from memory; no I/O. `undefined`: there is none, or nothing is known yet (await {@link ready}). With `onStale: 'throw'`:
   * TooStaleError for what is older than `maxStalenessMs`.
   */
  get(key: string): CachedEntry | undefined {
    if (this.#strict) this.#expectFresh();
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#misses += 1;
    else this.#hits += 1;
    return entry;
  }

  /** As {@link get}, but it may wait: for a revision, or for the proof that nothing newer exists. */
  async read(key: string, options: ReadOptions = {}): Promise<CachedEntry | undefined> {
    expectOptions('read', options, ['consistency', 'minRevision', 'signal']);
    const { consistency = 'cached', minRevision } = options;
    if (consistency !== 'cached' && consistency !== 'linearizable') {
      throw new TypeError(`Expected consistency to be 'cached' or 'linearizable', got ${show(consistency)}`);
    }
    if (minRevision !== undefined && typeof minRevision !== 'bigint') {
      throw new TypeError(`Expected minRevision to be a bigint, got ${show(minRevision)}`);
    }
    await this.#within('read', options.signal, async (signal) => {
      if (minRevision !== undefined) await this.#replica.reached(minRevision, signal);
      if (consistency === 'linearizable') await this.#replica.confirm(signal);
    });
    return this.get(key);
  }

  /**
   * Writes, and resolves once this cache has seen its own write. Rejects with VersionConflictError, LimitExceededError,
   * CoordinationUnavailableError (at once while degraded: nothing is queued), OutcomeUnknownError, AccessDeniedError.
   */
  async put(key: string, value: string, options: WriteOptions = {}): Promise<void> {
    expectText('key', key);
    if (typeof value !== 'string') throw new TypeError(`Expected value to be text, got ${show(value)}`);
    const bytes = Buffer.byteLength(value);
    if (bytes > MAX_VALUE_BYTES) {
      throw new LimitExceededError(
        `Could not put ${show(key)}: the value has ${bytes} bytes, and ${MAX_VALUE_BYTES} is the limit.`,
      );
    }
    await this.#write('put', key, options, (full) => ({ type: 'put', key: full, value }));
  }

  /** Deletes, and resolves once this cache has seen it. Errors as {@link put}. */
  async delete(key: string, options: WriteOptions = {}): Promise<void> {
    expectText('key', key);
    await this.#write('delete', key, options, (full) => ({ type: 'delete', key: full }));
  }

  /**
   * Every change from now on, in order; over a gap, what led from what was known to what is, marked `resynced`. Ends with
   * LimitExceededError when the reader is 10,000 changes behind.
   */
  watch(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<CacheChange> {
    expectOptions('watch', options, ['signal']);
    const watcher: Changes<CacheChange> = new Changes(
      MAX_WAITING_CHANGES,
      () => this.#watchers.delete(watcher),
      expectSignal(options.signal),
    );
    if (this.#closed === undefined) this.#watchers.add(watcher);
    else watcher.close();
    return watcher;
  }

  stats(): CacheStats {
    const { revision, resyncs } = this.#replica;
    return withDecimals({
      entries: this.#entries.size,
      hits: this.#hits,
      misses: this.#misses,
      revision,
      ageMs: this.#replica.ageMs(),
      resyncs,
    });
  }

  /** Stops following. What is known stays readable, and grows older. */
  async close(): Promise<void> {
    this.#closed ??= new ClosedError(`The cache ${JSON.stringify(this.prefix)} is closed.`);
    this.#context.opened.delete(this);
    this.#unfollow();
    for (const watcher of [...this.#watchers]) watcher.close();
    await this.#share.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(
    what: string,
    key: string,
    options: WriteOptions,
    operation: (full: string) => Transaction['then'][number],
  ): Promise<void> {
    expectOptions(what, options, ['ifRevision', 'signal']);
    const { ifRevision } = options;
    if (ifRevision !== undefined && typeof ifRevision !== 'bigint') {
      throw new TypeError(`Expected ifRevision to be a bigint, got ${show(ifRevision)}`);
    }
    const full = `${this.#root}${encodePath('key', key)}`;
    const compare = ifRevision === undefined ? [] : [{ key: full, target: 'mod', is: '=', than: ifRevision } as const];
    const transaction = { compare, then: [operation(full)], otherwise: [{ type: 'range', key: full } as const] };
    const act = async (signal: AbortSignal): Promise<void> => {
      this.#expectContact(`${what} ${show(key)}`);
      const { succeeded, revision, responses } = await this.#context.operations.commit(transaction, signal);
      const [found] = responses;
      /* What was not there was not deleted: no event will tell of it. */
      if (found?.type === 'delete' && found.deleted === 0) return;
      if (!succeeded) {
        const current = found?.type === 'range' ? (found.entries[0]?.modRevision ?? 0n) : 0n;
        throw new VersionConflictError(
          `Could not ${what} ${show(key)}: its revision is ${current}, and ${ifRevision} was expected. Nothing was written.`,
        );
      }
      await this.#replica.reached(revision, signal).catch((error: unknown) => {
        throw new CoordinationUnavailableError(
          `${show(key)} was written at revision ${revision}, but this cache has not seen it yet: its watch is behind.`,
          { cause: error },
        );
      });
    };
    await this.#settled(`${what} ${show(key)}`, options.signal, (caller) =>
      underDeadline(this.#context.runtime.clock, this.#context.deadlineMs, caller, act),
    );
  }

  async #within<T>(
    what: string,
    caller: AbortSignal | undefined,
    act: (signal: AbortSignal) => Promise<T>,
    deadlineMs: number = this.#context.deadlineMs,
  ): Promise<T> {
    return this.#settled(what, caller, (signal) =>
      withinDeadline(this.#context.runtime.clock, deadlineMs, signal, act),
    );
  }

  async #settled<T>(
    what: string,
    caller: AbortSignal | undefined,
    act: (caller: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    try {
      return await act(expectSignal(caller));
    } catch (error) {
      if (!(error instanceof DeadlineReached))
        throw asPublicError(error, `${what} in the cache ${JSON.stringify(this.prefix)}`);
      throw new CoordinationUnavailableError(
        `etcd did not answer in time about the cache ${JSON.stringify(this.prefix)}.`,
        { cause: this.#replica.failure ?? error },
      );
    }
  }

  #expectContact(what: string): void {
    if (this.#context.health.state !== 'degraded') return;
    throw new CoordinationUnavailableError(
      `Could not ${what}: there has been no contact with etcd for longer than a lease lasts. Nothing was sent, and nothing is queued.`,
    );
  }

  #expectFresh(): void {
    const ageMs = this.#replica.ageMs();
    if (ageMs <= this.#maxStalenessMs) return;
    throw new TooStaleError(
      `What the cache ${JSON.stringify(this.prefix)} knows was last proved ${Math.round(ageMs)} ms ago, and ${this.#maxStalenessMs} is the limit.`,
    );
  }

  #changed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.type === 'put') this.#show(change.entry);
      else this.#entries.delete(this.#keyOf(change.key));
    }
    if (this.#watchers.size === 0) return;
    const told = changes.map((change): CacheChange => {
      const mark = change.resynced === true ? { resynced: true as const } : {};
      if (change.type === 'delete') {
        return withDecimals({ type: 'delete', key: this.#keyOf(change.key), revision: change.revision, ...mark });
      }
      const { key, value, modRevision } = change.entry;
      return withDecimals({ type: 'put', key: this.#keyOf(key), value, revision: modRevision, ...mark });
    });
    for (const watcher of [...this.#watchers]) watcher.push(told);
  }

  #show(entry: KeyValue): void {
    this.#entries.set(this.#keyOf(entry.key), new Entry(this.#replica, entry));
  }

  #keyOf(full: string): string {
    return decodePath(full.slice(this.#root.length));
  }
}
