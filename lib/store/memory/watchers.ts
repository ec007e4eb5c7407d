import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { WatchBatch } from '../store.ts';
import type { EtcdWatchRequest } from './etcd-requests.ts';
import { covers } from './key-order.ts';
import { keyOf, type Applied, type Mvcc } from './mvcc.ts';

/** The cluster's end of a watch. */
export interface Watcher {
  readonly request: EtcdWatchRequest;
  deliver(batch: WatchBatch): void;
  fail(error: StoreError): void;
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
  /** With what cancels its catching up, while it is behind. */
  readonly #watchers = new Map<Watcher, { cancelCatchUp: (() => void) | undefined }>();

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
    const state: { cancelCatchUp: (() => void) | undefined } = { cancelCatchUp: undefined };
    this.#watchers.set(watcher, state);
    watcher.deliver({ revision: this.#mvcc().revision, events: [] });
    if (watcher.request.fromRevision <= this.#mvcc().revision) {
      const delayMs = this.#catchUpMs();
      if (delayMs === 0) this.#catchUp(watcher);
      else state.cancelCatchUp = this.#clock.schedule(delayMs, () => this.#catchUp(watcher));
    }
    return () => {
      state.cancelCatchUp?.();
      this.#watchers.delete(watcher);
    };
  }

  notify({ revision, events }: Applied): void {
    for (const [watcher, { cancelCatchUp }] of this.#watchers) {
      const { span, fromRevision } = watcher.request;
      if (cancelCatchUp !== undefined || revision < fromRevision) continue;
      const matching = events.filter((event) => covers(span, keyOf(event)));
      if (matching.length > 0) watcher.deliver({ revision, events: matching });
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
      this.#watchers.delete(watcher);
      watcher.fail(new StoreError('unreachable', 'transient', 'The connection was closed by the other side'));
    }
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
      this.#watchers.delete(watcher);
      watcher.fail(error as StoreError);
    }
  }
}
