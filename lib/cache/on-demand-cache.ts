/**
 * Keys that were asked for, kept while they are used: a read-through cache whose entries are followed, so that they do not expire but
 * change when the store does.
 *
 * 1. read: a key that is not kept is opened: a replica of that one key, listed and watched. Whoever reads the same key meanwhile has a
 *    share in the same replica, so the store is asked once.
 * 2. keep: once it is listed, it is kept, with a share of the cache's own. That there is no such key is kept as well.
 * 3. evict: beyond `max` or `maxBytes` the key whose last `get` or `read` is longest ago gives its share back, which ends its watch.
 *
 * A reader holds a share of its own while it waits: it is answered also if the key is evicted meanwhile, or was never kept. A load
 * that fails leaves nothing behind: with the last share of those who waited, the replica goes.
 */
import { LRUCache } from 'lru-cache';
import { expectOptions, expectSignal, expectText, show } from '../arguments.ts';
import type { Change } from '../replica/contents.ts';
import { ReaderCalls } from '../replica/reader-calls.ts';
import type { ReplicaShare, ShareOptions } from '../replica/replicas.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Sequence } from '../sequence/sequence.ts';
import { decodePath, encodePath } from '../session/keyspace.ts';
import type { CompleteOnDemandOptions } from './cache-options.ts';
import { CacheWatchers } from './cache-watchers.ts';
import { CacheWriter } from './cache-writer.ts';
import {
  completeReadOptions,
  namesOf,
  type Cache,
  type CacheChange,
  type CacheContext,
  type CacheStats,
  type ReadOptions,
  type ReadyOptions,
  type WriteOptions,
} from './cache.ts';
import type { CachedEntry } from './cached-entry.ts';
import { KeptKey, type Keeper } from './kept-key.ts';

/** What a read waits for. */
interface Load {
  readonly isLinearizable: boolean;
  readonly minRevision: bigint;
  readonly signal: AbortSignal | undefined;
}

export class OnDemandCache implements Cache, Keeper {
  readonly prefix: string;
  readonly #context: CacheContext;
  readonly #options: CompleteOnDemandOptions;
  readonly #calls: ReaderCalls;
  readonly #writer: CacheWriter;
  readonly #watchers: CacheWatchers;
  readonly #root: string;
  readonly #kept: LRUCache<string, KeptKey>;
  /** The shares of those who wait. */
  readonly #loading = new Set<ReplicaShare>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;
  /** Of the keys that are not kept any more. */
  #resyncs = 0;

  constructor(context: CacheContext, prefix: string, options: CompleteOnDemandOptions) {
    this.prefix = prefix;
    this.#context = context;
    this.#options = options;
    this.#root = context.keyspace.cache(prefix);
    this.#calls = new ReaderCalls(context, namesOf(prefix));
    this.#watchers = new CacheWatchers((full) => decodePath(full.slice(this.#root.length)));
    this.#writer = new CacheWriter(context.operations, this.#calls, this.#root, (full, revision, signal) =>
      this.#shown(full, revision, signal),
    );
    this.#kept = new LRUCache({ max: options.max, dispose: (kept) => this.#evicted(kept) });
    context.opened.add(this);
  }

  async ready(options: ReadyOptions = {}): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    await this.#calls.read('read', options, () => Promise.resolve());
  }

  get(key: string): CachedEntry | undefined {
    expectText('key', key);
    const kept = this.#kept.get(key);
    if (kept === undefined) {
      this.#misses += 1;
      return undefined;
    }
    const entry = this.#serve(kept);
    this.#hits += 1;
    return entry;
  }

  async read(key: string, options: ReadOptions = {}): Promise<CachedEntry | undefined> {
    expectText('key', key);
    const { isLinearizable, minRevision = 0n } = completeReadOptions(options);
    this.#calls.expectOpen();
    expectSignal(options.signal)?.throwIfAborted();
    const known = this.#kept.get(key);
    if (known === undefined) this.#misses += 1;
    const isEnough = known !== undefined && !isLinearizable && known.replica.revision >= minRevision;
    const kept = isEnough ? known : await this.#load(key, { isLinearizable, minRevision, signal: options.signal });
    const entry = this.#serve(kept);
    if (known !== undefined) this.#hits += 1;
    return entry;
  }

  put(key: string, value: string, options: WriteOptions = {}): Promise<void> {
    return this.#writer.put(key, value, options);
  }

  delete(key: string, options: WriteOptions = {}): Promise<void> {
    return this.#writer.delete(key, options);
  }

  watch(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<CacheChange> {
    expectOptions('watch', options, ['signal']);
    return this.#watchers.watch(options.signal);
  }

  stats(): CacheStats {
    let revision: bigint | undefined;
    let ageMs = 0;
    let resyncs = this.#resyncs;
    for (const { replica } of this.#kept.values()) {
      if (revision === undefined || replica.revision < revision) revision = replica.revision;
      ageMs = Math.max(ageMs, replica.ageMs());
      resyncs += replica.resyncs;
    }
    return withDecimals({
      entries: this.#kept.size,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      revision: revision ?? 0n,
      ageMs,
      resyncs,
    });
  }

  async close(): Promise<void> {
    this.#calls.close();
    this.#context.opened.delete(this);
    this.#watchers.close();
    await Promise.all([...this.#loading, ...this.#kept.values()].map((share) => share.release()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  changed(changes: readonly Change[], grownBytes: number): void {
    this.#watchers.tell(changes);
    this.#grow(grownBytes);
  }

  #serve(kept: KeptKey): CachedEntry | undefined {
    const { isStrict, maxStalenessMs } = this.#options;
    if (isStrict) this.#calls.expectFresh(kept.replica, maxStalenessMs);
    return kept.entry;
  }

  /** 1 */
  async #load(key: string, { isLinearizable, minRevision, signal }: Load): Promise<KeptKey> {
    const span = this.#span(key);
    let share: ReplicaShare | undefined;
    const why = (): Error | undefined => share?.replica.failure;
    return await this.#calls.read(`read ${show(key)}`, { signal, why }, async (signal) => {
      /* Nothing is known of it, and nothing will be before there is contact again. */
      if (!this.#kept.has(key)) this.#calls.expectContact(`read ${show(key)}`);
      const mine = this.#context.replicas.open(span);
      share = mine;
      this.#loading.add(mine);
      try {
        await mine.replica.reached(minRevision, signal);
        if (isLinearizable) await mine.replica.confirm(signal);
        /* The caller may have been answered already, and the cache closed. */
        signal.throwIfAborted();
        this.#calls.expectOpen();
        return this.#keep(key, span);
      } finally {
        this.#loading.delete(mine);
        void mine.release();
      }
    });
  }

  /** 2 */
  #keep(key: string, span: ShareOptions): KeptKey {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const kept = new KeptKey(key, this.#context.replicas.open(span), this);
    this.#kept.set(key, kept);
    this.#grow(kept.bytes);
    return kept;
  }

  /** 3. The last one stays, however large: it is what somebody has just read. */
  #grow(bytes: number): void {
    this.#bytes += bytes;
    while (this.#bytes > this.#options.maxBytes && this.#kept.size > 1) this.#kept.pop();
  }

  #evicted(kept: KeptKey): void {
    this.#evictions += 1;
    this.#bytes -= kept.bytes;
    this.#resyncs += kept.replica.resyncs;
    void kept.release();
  }

  /** A key that nobody follows will be listed with what was written. One that is being loaded may be listed without it. */
  async #shown(full: string, revision: bigint, signal: AbortSignal): Promise<void> {
    const share = this.#context.replicas.join(this.#spanOf(full));
    if (share === undefined) return;
    try {
      await share.replica.reached(revision, signal);
    } finally {
      void share.release();
    }
  }

  #span(key: string): ShareOptions {
    return this.#spanOf(`${this.#root}${encodePath('key', key)}`);
  }

  #spanOf(full: string): ShareOptions {
    const { freshnessMs } = this.#options;
    return { span: { key: full }, freshnessMs, maxEntries: 1, maxBytes: Number.MAX_SAFE_INTEGER, hasSnapshot: false };
  }
}
