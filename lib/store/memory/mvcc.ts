/**
 * etcd's keyspace as a pure state machine: keys, their versions, and the history of revisions.
 *
 * 1. Every write of a batch gets one revision, the store's next; a batch that wrote nothing leaves the revision alone.
 * 2. Reads inside a batch see what it wrote before them, at the revision it will have.
 * 3. History is kept until it is compacted; a compaction at R keeps what R itself showed.
 *
 * Modelled after etcd's `mvcc` and `etcdserver/apply.go`, and measured against 3.4 and 3.5: see store-contract.ts.
 */
import type { KeyValue, RangeResponse, WatchEvent } from '../store.ts';
import type { EtcdRangeRequest, EtcdSpan } from './etcd-requests.ts';
import { compareKeys, covers, KeyIndex } from './key-order.ts';
import { answerRange } from './range-answer.ts';
import { Refusal } from './refusal.ts';

/** What one revision did, in the order in which it did it. */
export interface Applied {
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
}

/** A read view: the store between batches, or a batch that sees its own writes. */
export interface ReadView {
  readonly revision: bigint;
  range(request: EtcdRangeRequest): RangeResponse;
  /** Throws for a revision that cannot be read in this view. `0n` stands for the newest. */
  expectReadable(revision: bigint): void;
}

interface Version {
  readonly revision: bigint;
  /** Absent: deleted at that revision. */
  readonly entry: KeyValue | undefined;
}

export class Mvcc implements ReadView {
  /** A new etcd begins at revision 1, with no key in it. */
  #revision = 1n;
  #compactRevision = 0n;
  #live = new Map<string, KeyValue>();
  #index = new KeyIndex();
  #versions = new Map<string, Version[]>();
  #history: Applied[] = [];

  get revision(): bigint {
    return this.#revision;
  }

  /** `0n`: nothing was compacted yet. */
  get compactRevision(): bigint {
    return this.#compactRevision;
  }

  get(key: string): KeyValue | undefined {
    return this.#live.get(key);
  }

  range(request: EtcdRangeRequest): RangeResponse {
    return this.rangeAt(this.#revision, request);
  }

  /** A range whose newest revision is `revision`: the store's, or that of the batch that asks. */
  rangeAt(revision: bigint, request: EtcdRangeRequest): RangeResponse {
    this.expectReadable(request.revision ?? 0n, revision);
    const asked = request.revision ?? 0n;
    const isCurrent = revision >= this.#revision && (asked <= 0n || asked === revision);
    const found = isCurrent ? this.#current(request) : this.#past(asked <= 0n ? revision : asked, request);
    return answerRange(found, request, revision);
  }

  /** Throws for a revision that is not there any more, or not yet. `0n` stands for the newest. */
  expectReadable(revision: bigint, newest: bigint = this.#revision): void {
    if (revision <= 0n) return;
    if (revision > newest) {
      throw new Refusal('future-revision', `expected a revision up to ${newest}, got ${revision}`);
    }
    if (revision < this.#compactRevision) throw compactedError(revision, this.#compactRevision);
  }

  /** The store as it was when `revision` was its newest. */
  asOf(revision: bigint): ReadView {
    return {
      revision,
      range: (request) => this.rangeAt(revision, request),
      expectReadable: (asked) => this.expectReadable(asked, revision),
    };
  }

  begin(): Batch {
    return new Batch(this, {
      put: (entry) => this.#record(entry.key, entry.modRevision, entry),
      remove: (key, revision) => this.#record(key, revision, undefined),
      end: (applied) => {
        this.#revision = applied.revision;
        this.#history.push(applied);
      },
    });
  }

  /** The history of a span from a revision on, by whole revisions. Throws if it is gone. */
  historyFrom(fromRevision: bigint, span: EtcdSpan): readonly Applied[] {
    if (fromRevision < this.#compactRevision) throw compactedError(fromRevision, this.#compactRevision);
    /* From the end, near which almost everybody begins. */
    const start = this.#history.findLastIndex(({ revision }) => revision < fromRevision) + 1;
    return this.#history.slice(start).flatMap((applied) => {
      const events = applied.events.filter((event) => covers(span, keyOf(event)));
      return events.length === 0 ? [] : [{ revision: applied.revision, events }];
    });
  }

  /**
   * Forgets everything before `revision`. What happened at it can still be watched, but for what was undone in the same transaction;
   * without `keepDeletes`, also but for its deletes, as before etcd 3.5.16 (measured on 3.4.23).
   */
  compact(revision: bigint, { keepDeletes }: { readonly keepDeletes: boolean }): void {
    if (revision <= this.#compactRevision) throw compactedError(revision, this.#compactRevision);
    this.expectReadable(revision);
    this.#compactRevision = revision;
    for (const [key, versions] of this.#versions) {
      const kept = withoutHistoryBefore(revision, versions);
      if (kept.length === 0) this.#versions.delete(key);
      else this.#versions.set(key, kept);
    }
    this.#history = this.#history.flatMap((applied) => {
      if (applied.revision < revision) return [];
      if (applied.revision > revision) return [applied];
      const events = lastOfEachKey(applied.events).filter((event) => keepDeletes || event.type === 'put');
      return [{ revision, events }];
    });
  }

  /** As `etcdutl snapshot restore --bump-revision --mark-compacted` does it, so that a restore cannot take the revision back. */
  bump(by: bigint): void {
    this.#revision += by;
    this.#compactRevision = this.#revision;
    this.#history = [];
  }

  copy(): Mvcc {
    const copy = new Mvcc();
    copy.#revision = this.#revision;
    copy.#compactRevision = this.#compactRevision;
    copy.#live = new Map(this.#live);
    copy.#index = this.#index.copy();
    copy.#versions = new Map([...this.#versions].map(([key, versions]) => [key, [...versions]]));
    copy.#history = [...this.#history];
    return copy;
  }

  #record(key: string, revision: bigint, entry: KeyValue | undefined): void {
    const versions = this.#versions.get(key) ?? [];
    versions.push({ revision, entry });
    this.#versions.set(key, versions);
    if (entry === undefined) {
      this.#live.delete(key);
      this.#index.remove(key);
      return;
    }
    if (!this.#live.has(key)) this.#index.add(key);
    this.#live.set(key, entry);
  }

  #current(request: EtcdRangeRequest): readonly KeyValue[] {
    return this.#index.within(request, request.from).flatMap((key) => this.#live.get(key) ?? []);
  }

  #past(revision: bigint, request: EtcdRangeRequest): readonly KeyValue[] {
    const { from } = request;
    const all = 'key' in request ? [request.key] : [...this.#versions.keys()];
    const keys = all.filter((key) => covers(request, key) && (from === undefined || compareKeys(key, from) >= 0));
    return keys.toSorted(compareKeys).flatMap((key) => {
      const version = this.#versions.get(key)?.findLast((version) => version.revision <= revision);
      return version?.entry ?? [];
    });
  }
}

/** Where a batch leaves its writes. */
interface BatchSink {
  put(entry: KeyValue): void;
  remove(key: string, revision: bigint): void;
  end(applied: Applied): void;
}

/** The writes of one request. Nothing can go wrong between them: whoever applies has checked everything before. */
export class Batch implements ReadView {
  readonly #mvcc: Mvcc;
  readonly #sink: BatchSink;
  readonly #events: WatchEvent[] = [];

  constructor(mvcc: Mvcc, sink: BatchSink) {
    this.#mvcc = mvcc;
    this.#sink = sink;
  }

  /** The store's revision as this batch sees it. */
  get revision(): bigint {
    return this.#events.length === 0 ? this.#mvcc.revision : this.#mvcc.revision + 1n;
  }

  range(request: EtcdRangeRequest): RangeResponse {
    return this.#mvcc.rangeAt(this.revision, request);
  }

  expectReadable(revision: bigint): void {
    this.#mvcc.expectReadable(revision);
  }

  /** The newest version of a key, as this batch sees it. */
  get(key: string): KeyValue | undefined {
    return this.#mvcc.get(key);
  }

  put(key: string, value: string, lease: bigint): void {
    const modRevision = this.#mvcc.revision + 1n;
    const before = this.#mvcc.get(key);
    const entry: KeyValue = {
      key,
      value,
      createRevision: before?.createRevision ?? modRevision,
      modRevision,
      version: (before?.version ?? 0n) + 1n,
      lease,
    };
    this.#sink.put(entry);
    this.#events.push({ type: 'put', entry });
  }

  /** Deletes what the span holds; returns what it held. */
  delete(span: EtcdSpan): readonly KeyValue[] {
    const modRevision = this.#mvcc.revision + 1n;
    const { entries } = this.range(span);
    for (const { key } of entries) {
      this.#sink.remove(key, modRevision);
      this.#events.push({ type: 'delete', key, modRevision });
    }
    return entries;
  }

  /** What this batch has done, or nothing if it wrote nothing. */
  end(): Applied | undefined {
    if (this.#events.length === 0) return undefined;
    const applied: Applied = { revision: this.#mvcc.revision + 1n, events: this.#events };
    this.#sink.end(applied);
    return applied;
  }
}

export function keyOf(event: WatchEvent): string {
  return event.type === 'put' ? event.entry.key : event.key;
}

function compactedError(revision: bigint, compactRevision: bigint): Refusal {
  return new Refusal('compacted', `asked for revision ${revision}, history begins at ${compactRevision}`, {
    compactRevision,
  });
}

function lastOfEachKey(events: readonly WatchEvent[]): readonly WatchEvent[] {
  const last = new Map(events.map((event) => [keyOf(event), event]));
  return events.filter((event) => last.get(keyOf(event)) === event);
}

/** What a compaction at `revision` leaves of a key: what it was then, unless it was deleted, and what came later. */
function withoutHistoryBefore(revision: bigint, versions: readonly Version[]): Version[] {
  const visible = versions.findLastIndex((version) => version.revision <= revision);
  if (visible === -1) return [...versions];
  return versions[visible]?.entry === undefined ? versions.slice(visible + 1) : versions.slice(visible);
}
