import { StoreError } from '../store-error.ts';
import type { WatchRequest } from '../store.ts';
import { Feed, type FeedLimits } from './feed.ts';
import type { SizedBatch } from './revision-batches.ts';
import type { WatchListener, WatchStream } from './watch-stream.ts';

/** What may wait for a reader. */
const FEED_LIMITS: FeedLimits = { events: 10_000, bytes: 64 * 1024 * 1024 };

/** Whom a subscription belongs to. */
export interface SubscriptionOwner {
  /** It was refused access on this stream, for the first time. Whether it is put on another one. */
  readonly onDenied: (subscription: Subscription, stream: WatchStream) => boolean;
  /** Nobody reads it any more, or nothing more will come. */
  readonly onDone: (subscription: Subscription) => void;
}

/**
 * One reader's watch: what the stream tells of it goes into the reader's feed. There may be ten thousand of them for as long as they like, so what
 * is needed until the server has accepted it is not kept.
 */
export class Subscription implements WatchListener {
  readonly feed: Feed;
  readonly #request: WatchRequest;
  readonly #owner: SubscriptionOwner;
  /** Until the server has answered: what ends the opening, and what is to be called then. */
  #opening: AbortController | undefined;
  #answered: (() => void) | undefined;
  #stream: WatchStream | undefined;
  #id = '';
  #wasDenied = false;

  constructor(request: WatchRequest, reader: AbortSignal, owner: SubscriptionOwner) {
    this.#request = request;
    this.#owner = owner;
    const abort = (): void => {
      this.feed.fail(
        new StoreError('cancelled', 'transient', 'The watch was cancelled by its reader', { cause: reader.reason }),
      );
    };
    this.feed = new Feed(FEED_LIMITS, () => {
      reader.removeEventListener('abort', abort);
      this.#owner.onDone(this);
      this.#opening?.abort();
      this.#stream?.leave(this.#id);
    });
    reader.addEventListener('abort', abort, { once: true });
    if (reader.aborted) abort();
  }

  /** It is about to be put on a stream. The signal aborts if nobody reads it any more before the server has answered. */
  open(): AbortSignal {
    this.#opening = new AbortController();
    return this.#opening.signal;
  }

  /** Resolves when the server has accepted it, or has ended it, or when it is withdrawn. */
  join(stream: WatchStream): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#stream = stream;
      this.#id = stream.watch(this.#request, this);
    });
  }

  /** Takes it off its stream, on which the server has not answered, so that it can be put on another one. */
  withdraw(): void {
    this.#stream?.leave(this.#id);
    this.#endOpening();
  }

  onCreated(revision: bigint): void {
    this.#endOpening();
    this.onProgress(revision);
  }

  onBatch({ batch, bytes }: SizedBatch): void {
    this.feed.push(batch, bytes);
  }

  onProgress(revision: bigint): void {
    this.feed.push({ revision, events: [] }, 0);
  }

  onEnd(error: StoreError, refused: boolean): void {
    this.#endOpening();
    const stream = this.#stream;
    const isDenied = refused && (error.reason === 'denied' || error.reason === 'unauthenticated');
    const isFirst = isDenied && !this.#wasDenied;
    this.#wasDenied = isDenied;
    if (isFirst && stream !== undefined && this.#owner.onDenied(this, stream)) return;
    this.feed.fail(error);
  }

  #endOpening(): void {
    this.#answered?.();
    this.#answered = undefined;
    this.#opening = undefined;
  }
}
