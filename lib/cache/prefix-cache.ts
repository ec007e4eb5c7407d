import { expectOptions, expectText, show } from '../arguments.ts';
import type { Change } from '../replica/contents.ts';
import { ReaderCalls } from '../replica/reader-calls.ts';
import type { Replica } from '../replica/replica.ts';
import type { ReplicaShare } from '../replica/replicas.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Sequence } from '../sequence/sequence.ts';
import { decodePath } from '../session/keyspace.ts';
import type { KeyValue } from '../store/store.ts';
import type { CompletePrefixOptions } from './cache-options.ts';
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
import { Entry, type CachedEntry } from './cached-entry.ts';

/** Every key under a prefix, kept and followed together: one replica, one watch, one proof of freshness for all. */
export class PrefixCache implements Cache {
  readonly prefix: string;
  readonly #context: CacheContext;
  readonly #calls: ReaderCalls;
  readonly #writer: CacheWriter;
  readonly #watchers: CacheWatchers;
  readonly #root: string;
  readonly #share: ReplicaShare;
  readonly #replica: Replica;
  readonly #maxStalenessMs: number;
  readonly #strict: boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #unfollow: () => void;
  #hits = 0;
  #misses = 0;

  constructor(context: CacheContext, prefix: string, options: CompletePrefixOptions) {
    const { maxStalenessMs, isStrict, freshnessMs, maxEntries, maxBytes } = options;
    this.prefix = prefix;
    this.#context = context;
    this.#maxStalenessMs = maxStalenessMs;
    this.#strict = isStrict;
    this.#root = context.keyspace.cache(prefix);
    this.#share = context.replicas.open({ span: { prefix: this.#root }, freshnessMs, maxEntries, maxBytes });
    this.#replica = this.#share.replica;
    this.#calls = new ReaderCalls(context, namesOf(prefix));
    this.#watchers = new CacheWatchers((full) => this.#keyOf(full));
    this.#writer = new CacheWriter(context.operations, this.#calls, this.#root, (_, revision, signal) =>
      this.#replica.reached(revision, signal),
    );
    for (const entry of this.#replica.entries.values()) this.#show(entry);
    this.#unfollow = this.#replica.follow({ changed: (changes) => this.#changed(changes) });
    context.opened.add(this);
  }

  async ready(options: ReadyOptions = {}): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    await this.#calls.read('read', { ...options, why: this.#why }, (signal) => this.#replica.reached(0n, signal));
  }

  get(key: string): CachedEntry | undefined {
    expectText('key', key);
    if (this.#strict) this.#calls.expectFresh(this.#replica, this.#maxStalenessMs);
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#misses += 1;
    else this.#hits += 1;
    return entry;
  }

  async read(key: string, options: ReadOptions = {}): Promise<CachedEntry | undefined> {
    expectText('key', key);
    const { isLinearizable, minRevision } = completeReadOptions(options);
    const why = (): Error | undefined => this.#why() ?? this.#distanceTo(minRevision);
    await this.#calls.read(`read ${show(key)}`, { signal: options.signal, why }, async (signal) => {
      /* Before the first list, that there is no such entry would be a guess. */
      const isUnknown = this.#replica.origin === 'nothing';
      if (minRevision !== undefined || isUnknown) await this.#replica.reached(minRevision ?? 0n, signal);
      if (isLinearizable) await this.#replica.confirm(signal);
    });
    return this.get(key);
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
    const { revision, resyncs } = this.#replica;
    return withDecimals({
      entries: this.#entries.size,
      hits: this.#hits,
      misses: this.#misses,
      evictions: 0,
      revision,
      ageMs: this.#replica.ageMs(),
      resyncs,
    });
  }

  async close(): Promise<void> {
    this.#calls.close();
    this.#context.opened.delete(this);
    this.#unfollow();
    this.#watchers.close();
    await this.#share.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #distanceTo(minRevision: bigint | undefined): Error | undefined {
    const { revision } = this.#replica;
    if (minRevision === undefined || revision === 0n || revision >= minRevision) return undefined;
    return new Error(`revision ${minRevision} was asked for, and ${revision} is known`);
  }

  readonly #why = (): Error | undefined => this.#replica.failure;

  #changed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.type === 'put') this.#show(change.entry);
      else this.#entries.delete(this.#keyOf(change.key));
    }
    this.#watchers.tell(changes);
  }

  #show(entry: KeyValue): void {
    this.#entries.set(this.#keyOf(entry.key), new Entry(this.#replica, entry));
  }

  #keyOf(full: string): string {
    return decodePath(full.slice(this.#root.length));
  }
}
