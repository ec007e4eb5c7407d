/**
 * One watch of a queue, for everybody in this process who wants to know when others come and go.
 *
 * A watch that is opened for each wait begins in the past whenever the store has moved on meanwhile, and etcd delivers to such a watch
 * only every 100 ms. So this one is opened at the first wait and kept for a second after the last: with few processes in a queue a
 * hand-over then takes a write and a delivery.
 *
 * It does not resume. When its stream breaks, or the history that it would need is gone, whoever waits is told that nothing is known, and
 * looks for itself: that covers also a store that was restored behind the break. Who comes with an answer of another epoch does not even wait
 * for the break: keys that have gone before a restore can stand again after it.
 */
import type { Runtime } from '../runtime/runtime.ts';
import { follow, revisionOf } from '../store/follow.ts';
import { StoreError } from '../store/store-error.ts';
import type { Store, WatchBatch } from '../store/store.ts';
import type { KeyLife } from '../store/until-deleted.ts';

/** What has become of a wait: no more are before us than may be, our own key was removed, or it cannot be said. */
export type Sighting = 'first' | 'removed' | 'unknown';

/** How long the watch is kept when nobody uses it, in milliseconds. */
const KEPT_MS = 1_000;

/** Departures that are remembered, for answers that are still under way while their queue moves on. */
const REMEMBERED = 128;

/** Who stands before a key, as an answer had it. */
export interface Precedence {
  readonly before: readonly KeyLife[];
  /** So many of them may stay. */
  readonly beside: number;
  readonly revision: bigint;
  /** The operator's epoch. */
  readonly epoch: number;
}

interface Observer {
  /** After each batch of events. */
  readonly look: () => void;
  /** Nothing more is known. With an error: and will not be, since etcd refuses the watch. */
  readonly lose: (refusal: StoreError | undefined) => void;
}

export class Lookout {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #onClose: () => void;
  readonly #observers = new Set<Observer>();
  /** Keys that went, with the revision at which they did. Complete for revisions above {@link #since}. */
  readonly #departures = new Map<string, bigint>();
  #since = 0n;
  /** The operator's epoch, as the answer had it with which the watch was opened. */
  #epoch = 0;
  /** The create revision of the newest key that has come. */
  #newest = 0n;
  #life: AbortController | undefined;
  #cancelClosing: () => void = () => {};

  constructor(runtime: Runtime, store: Store, prefix: string, onClose: () => void) {
    this.#runtime = runtime;
    this.#store = store;
    this.#prefix = prefix;
    this.#onClose = onClose;
  }

  /**
   * Resolves once all that stood before `own` are gone, but for those that may stay, or once `own` is. Rejects with `signal.reason`, and
   * with the StoreError of a refusal.
   */
  untilFirst(own: KeyLife, { before, beside, ...answer }: Precedence, signal: AbortSignal): Promise<Sighting> {
    let waiting = before;
    /* Its answer is older than what is watched: another one is needed. */
    if (this.#life !== undefined && answer.epoch < this.#epoch) return Promise.resolve('unknown');
    return this.#observe<Sighting>(answer, signal, 'unknown', () => {
      if (this.#isGone(own)) return 'removed';
      waiting = waiting.filter((life) => !this.#isGone(life));
      return waiting.length <= beside ? 'first' : undefined;
    });
  }

  /** Resolves once another key than `own` has come after it, or if that cannot be known. Rejects with `signal.reason`. */
  async untilAsked(own: KeyLife, epoch: number, signal: AbortSignal): Promise<void> {
    const answer = { revision: own.createRevision, epoch };
    await this.#observe(answer, signal, true, () => this.#newest > own.createRevision || undefined);
  }

  /** Whether it is known that nobody has come after `own`, up to a delivery. */
  isUnasked({ createRevision }: KeyLife): boolean {
    return this.#life !== undefined && this.#since <= createRevision && this.#newest <= createRevision;
  }

  close(): void {
    /* In this order: whoever is told that it is over is the last to leave, and would have it closed later. */
    this.#end(undefined);
    this.#cancelClosing();
    this.#onClose();
  }

  /** `sight` is asked after each batch until it knows; `unknown` is what is said when the watch ends. */
  #observe<T>(
    { revision, epoch }: Pick<Precedence, 'revision' | 'epoch'>,
    signal: AbortSignal,
    unknown: T,
    sight: () => T | undefined,
  ): Promise<T> {
    this.#cancelClosing();
    return new Promise<T>((resolve, reject) => {
      const settle = (act: () => void): void => {
        if (!this.#observers.delete(observer)) return;
        signal.removeEventListener('abort', abort);
        if (this.#observers.size === 0) this.#closeSoon();
        act();
      };
      const abort = (): void => settle(() => reject(signal.reason));
      const observer: Observer = {
        look: () => {
          const sighting = sight();
          if (sighting !== undefined) settle(() => resolve(sighting));
        },
        lose: (refusal) => settle(() => (refusal === undefined ? resolve(unknown) : reject(refusal))),
      };
      if (this.#life === undefined || revision < this.#since || epoch > this.#epoch) this.#open(revision, epoch);
      this.#observers.add(observer);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else observer.look();
    });
  }

  /** A deletion counts only above the create revision: etcd's Go clients use their keys again. */
  #isGone({ key, createRevision }: KeyLife): boolean {
    return (this.#departures.get(key) ?? 0n) > createRevision;
  }

  #open(revision: bigint, epoch: number): void {
    this.#end(undefined);
    this.#since = revision;
    this.#epoch = epoch;
    this.#newest = 0n;
    this.#departures.clear();
    const life = new AbortController();
    this.#life = life;
    void this.#watch(life, revision + 1n);
  }

  async #watch(life: AbortController, fromRevision: bigint): Promise<void> {
    const request = { span: { prefix: this.#prefix }, fromRevision };
    let refusal: StoreError | undefined;
    try {
      const batches = follow(this.#runtime, this.#store, request, life.signal, { resumes: false });
      for await (const batch of batches) this.#take(batch);
    } catch (error) {
      const isRefused = error instanceof StoreError && error.outcome === 'permanent' && error.reason !== 'compacted';
      if (isRefused) refusal = error;
    }
    if (this.#life === life) this.#end(refusal);
  }

  #take({ events }: WatchBatch): void {
    for (const event of events) {
      if (event.type === 'put') {
        if (event.entry.createRevision > this.#newest) this.#newest = event.entry.createRevision;
      } else {
        /* Last, also if it went before: the oldest stand first. */
        this.#departures.delete(event.key);
        this.#departures.set(event.key, revisionOf(event));
      }
    }
    for (const { look } of [...this.#observers]) look();
    for (const [key, revision] of this.#departures) {
      if (this.#departures.size <= REMEMBERED) break;
      this.#departures.delete(key);
      this.#since = revision;
    }
  }

  #end(refusal: StoreError | undefined): void {
    const life = this.#life;
    this.#life = undefined;
    life?.abort(new Error('the watch of the queue is over'));
    for (const { lose } of [...this.#observers]) lose(refusal);
  }

  #closeSoon(): void {
    this.#cancelClosing();
    this.#cancelClosing = this.#runtime.clock.schedule(KEPT_MS, () => this.close());
  }
}
