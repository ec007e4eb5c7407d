import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { WatchBatch } from '../store.ts';
import type { EtcdSpan, EtcdWatchRequest } from './etcd-requests.ts';
import { covers } from './key-order.ts';
import { keyOf, type Applied, type Mvcc } from './mvcc.ts';

/** The cluster's end of a watch. */
export interface Watcher {
  readonly request: EtcdWatchRequest;
  deliver(batch: WatchBatch): void;
  fail(error: StoreError): void;
}

interface WatcherState {
  /** Whoever came first is told first. */
  readonly place: number;
  /** While it is behind. */
  cancelCatchUp: (() => void) | undefined;
}

/**
 * The watches of a cluster.
 *
 * 1. A watch is answered at once by an empty batch.
 * 2. If it begins in the past it is given the history of its span, by whole revisions and in order, after `catchUpMs`: etcd looks
 *    for such watches ten times a second. If that history has been compacted by then, the watch fails.
 * 3. From then on it gets each revision as it happens, but nothing below its first. One that begins in the future is silent until then.
 */
export class Watchers {
  readonly #clock: Clock;
  readonly #mvcc: () => Mvcc;
  readonly #catchUpMs: () => number;
  readonly #watchers = new Map<Watcher, WatcherState>();
  /** The same by their spans: ten thousand clients watch a key or two each, and a revision is about few of them. */
  readonly #bySpan = new Map<string, { readonly span: EtcdSpan; readonly watchers: Set<Watcher> }>();
  /** Those of {@link #bySpan} that are of more than one key. */
  readonly #ranges = new Set<string>();
  #added = 0;

  constructor(clock: Clock, mvcc: () => Mvcc, catchUpMs: () => number) {
    this.#clock = clock;
    this.#mvcc = mvcc;
    this.#catchUpMs = catchUpMs;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Returns what ends the watch. */
  add(watcher: Watcher): () => void {
    const state: WatcherState = { place: (this.#added += 1), cancelCatchUp: undefined };
    this.#watchers.set(watcher, state);
    this.#index(watcher);
    watcher.deliver({ revision: this.#mvcc().revision, events: [] });
    if (watcher.request.fromRevision <= this.#mvcc().revision) {
      const delayMs = this.#catchUpMs();
      if (delayMs === 0) this.#catchUp(watcher);
      else state.cancelCatchUp = this.#clock.schedule(delayMs, () => this.#catchUp(watcher));
    }
    return () => {
      state.cancelCatchUp?.();
      this.#remove(watcher);
    };
  }

  notify({ revision, events }: Applied): void {
    for (const watcher of this.#concerned(events)) {
      const state = this.#watchers.get(watcher);
      const { span, fromRevision } = watcher.request;
      if (state === undefined || state.cancelCatchUp !== undefined || revision < fromRevision) continue;
      watcher.deliver({ revision, events: events.filter((event) => covers(span, keyOf(event))) });
    }
  }

  /** A sign of life to every watch that is not behind. */
  reportProgress(): void {
    for (const [watcher, { cancelCatchUp }] of this.#watchers) {
      if (cancelCatchUp === undefined) watcher.deliver({ revision: this.#mvcc().revision, events: [] });
    }
  }

  /** Every connection breaks. */
  disconnect(): void {
    for (const [watcher, { cancelCatchUp }] of [...this.#watchers]) {
      cancelCatchUp?.();
      this.#remove(watcher);
      watcher.fail(new StoreError('unreachable', 'transient', 'The connection was closed by the other side'));
    }
  }

  /** Whoever watches one of the keys, in the order in which they came. */
  #concerned(events: Applied['events']): readonly Watcher[] {
    const keys = events.map((event) => keyOf(event));
    const spans = new Set(keys.map((key) => nameOf({ key })));
    for (const name of this.#ranges) {
      const { span } = this.#bySpan.get(name) ?? {};
      if (span !== undefined && keys.some((key) => covers(span, key))) spans.add(name);
    }
    const place = (watcher: Watcher): number => this.#watchers.get(watcher)?.place ?? 0;
    return [...spans]
      .flatMap((name) => [...(this.#bySpan.get(name)?.watchers ?? [])])
      .toSorted((a, b) => place(a) - place(b));
  }

  #index(watcher: Watcher): void {
    const { span } = watcher.request;
    const name = nameOf(span);
    const same = this.#bySpan.get(name) ?? { span, watchers: new Set() };
    same.watchers.add(watcher);
    this.#bySpan.set(name, same);
    if (!('key' in span)) this.#ranges.add(name);
  }

  #remove(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    const name = nameOf(watcher.request.span);
    const same = this.#bySpan.get(name);
    same?.watchers.delete(watcher);
    if (same?.watchers.size !== 0) return;
    this.#bySpan.delete(name);
    this.#ranges.delete(name);
  }

  #catchUp(watcher: Watcher): void {
    const state = this.#watchers.get(watcher);
    if (state === undefined) return;
    state.cancelCatchUp = undefined;
    const { fromRevision, span } = watcher.request;
    try {
      const history = this.#mvcc().historyFrom(fromRevision, span);
      const last = history.at(-1);
      if (last === undefined) return;
      watcher.deliver({ revision: last.revision, events: history.flatMap(({ events }) => events) });
    } catch (error) {
      this.#remove(watcher);
      watcher.fail(error as StoreError);
    }
  }
}

function nameOf(span: EtcdSpan): string {
  if ('key' in span) return `k${span.key}`;
  return 'prefix' in span ? `p${span.prefix}` : `i${JSON.stringify([span.start, span.end ?? null])}`;
}
