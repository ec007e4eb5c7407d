import { StoreError } from '../store-error.ts';
import type { WatchBatch } from '../store.ts';

export interface FeedLimits {
  readonly events: number;
  readonly bytes: number;
}

interface Waiting {
  resolve(result: IteratorResult<WatchBatch, undefined>): void;
  reject(error: StoreError): void;
}

interface Held {
  readonly batch: WatchBatch;
  readonly bytes: number;
}

/**
 * The batches of one watch between the stream and its consumer. It ends by an error, never by itself, and delivers what came before
 * that error first. A consumer who falls behind by more than the limits is told so by an error, rather than remembered without bound.
 */
export class Feed implements AsyncIterableIterator<WatchBatch, undefined> {
  readonly #limits: FeedLimits;
  /** Called once, when nobody listens any more or nothing more will come. */
  readonly #onDone: () => void;
  readonly #held: Held[] = [];
  #heldEvents = 0;
  #heldBytes = 0;
  #waiting: Waiting | undefined;
  #end: { readonly error: StoreError } | 'returned' | undefined;

  constructor(limits: FeedLimits, onDone: () => void) {
    this.#limits = limits;
    this.#onDone = onDone;
  }

  get isDone(): boolean {
    return this.#end !== undefined;
  }

  /** `bytes` is about how much memory the batch takes. */
  push(batch: WatchBatch, bytes: number): void {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: batch });
      return;
    }
    this.#held.push({ batch, bytes });
    this.#heldEvents += batch.events.length;
    this.#heldBytes += bytes;
    /* One batch alone is always taken, however large: it has arrived already, and asking for it again would not make it smaller. */
    if (this.#held.length > 1 && (this.#heldEvents > this.#limits.events || this.#heldBytes > this.#limits.bytes)) {
      this.fail(
        new StoreError(
          'overloaded',
          'transient',
          `The reader of a watch fell behind: ${this.#heldEvents} events of ${this.#heldBytes} bytes were waiting for it`,
        ),
      );
    }
  }

  /** Nothing more will come. */
  fail(error: StoreError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#waiting?.reject(error);
    if (this.#waiting !== undefined) this.#end = 'returned';
    this.#waiting = undefined;
    this.#onDone();
  }

  next(): Promise<IteratorResult<WatchBatch, undefined>> {
    const held = this.#held.shift();
    if (held !== undefined) {
      this.#heldEvents -= held.batch.events.length;
      this.#heldBytes -= held.bytes;
      return Promise.resolve({ done: false, value: held.batch });
    }
    if (this.#end === 'returned') return Promise.resolve({ done: true, value: undefined });
    if (this.#end !== undefined) {
      const { error } = this.#end;
      this.#end = 'returned';
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<WatchBatch, undefined>> {
    const done: IteratorResult<WatchBatch, undefined> = { done: true, value: undefined };
    const first = this.#end === undefined;
    this.#end = 'returned';
    this.#held.length = 0;
    this.#waiting?.resolve(done);
    this.#waiting = undefined;
    if (first) this.#onDone();
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
