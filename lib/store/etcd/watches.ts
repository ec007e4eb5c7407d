import { StoreError } from '../store-error.ts';
import type { WatchBatch, WatchRequest } from '../store.ts';
import type { Authentication } from './authentication.ts';
import type { Bounds } from './bounds.ts';
import { isStaleToken, type GrpcStatus } from './grpc-errors.ts';
import type { GrpcLine } from './grpc-line.ts';
import type { Members } from './members.ts';
import type { OpenCalls } from './open-calls.ts';
import { reach } from './reach.ts';
import { Subscription, type SubscriptionOwner } from './subscription.ts';
import { WatchStream } from './watch-stream.ts';

/** Until the stream is there. */
const OPEN_TIMEOUT_MS = 5_000;

/** Until the server has accepted a watch. A dead connection is noticed sooner; a busy server deserves patience, since to ask it again is no help. */
const ACCEPT_TIMEOUT_MS = 15_000;

/**
 * All watches of a store, on one gRPC stream.
 *
 * 1. The stream is opened with the first watch and closed with the last. It has a connection of its own, so that a burst of events and
 *    the calls do not delay each other.
 * 2. Each watch ends alone if the server refuses or cancels it, if its reader falls behind, or if its reader leaves.
 * 3. A watch that is refused access may only have met an old token: etcd checks the token of the *stream*, which is as old as the
 *    stream. It is tried once more on a new stream with a new token; the watches on the old one go on there.
 * 4. A watch that has no answer yet when a call has got a new token is tried on a new stream: an etcd that was restored lets the old token wait. No
 *    stream asks for one on suspicion, since that is dear, and many clients may be coming back.
 * 5. When the stream breaks, all watches on it end with its error. None resumes here.
 */
export class Watches {
  readonly #open: OpenCalls;
  readonly #members: Members<GrpcLine>;
  readonly #authentication: Authentication;
  readonly #subscriptions = new Set<Subscription>();
  readonly #streams = new Set<WatchStream>();
  /** Where new watches go. */
  #current: WatchStream | undefined;
  #opening: Promise<WatchStream> | undefined;

  constructor(open: OpenCalls, members: Members<GrpcLine>, authentication: Authentication) {
    this.#open = open;
    this.#members = members;
    this.#authentication = authentication;
  }

  watch(request: WatchRequest, reader: AbortSignal): AsyncIterable<WatchBatch> {
    const subscription = new Subscription(request, reader, this.#owner);
    if (!subscription.feed.isDone) {
      this.#subscriptions.add(subscription);
      this.#begin(subscription);
    }
    return subscription.feed;
  }

  close(): void {
    const error = new StoreError('closed', 'permanent', 'The store was closed');
    for (const { feed } of this.#subscriptions) feed.fail(error);
    for (const stream of this.#streams) stream.end(error);
  }

  #begin(subscription: Subscription): void {
    const options = { timeoutMs: ACCEPT_TIMEOUT_MS, signal: subscription.open() };
    const accepted = this.#open.run('read', 'watch', options, async (bounds) => {
      const stream = await this.#stream(bounds);
      bounds.waitingFor = stream.connection.answering;
      /* The reader may have left, and the stream may have broken, since it was there. */
      bounds.throwIfEnded();
      if (stream.isOver) throw new StoreError('unreachable', 'transient', 'The watch stream broke as it was opened');
      /* 4. */
      const settled = this.#authentication.onRenewal(() => {
        subscription.withdraw();
        this.#beginElsewhere(subscription, stream);
      });
      bounds.onEnd(({ reason }) => {
        settled();
        if (reason === 'timeout') this.#avoid(stream);
      });
      await subscription.join(stream).finally(settled);
    });
    accepted.catch((error: unknown) => subscription.feed.fail(error as StoreError));
  }

  #beginElsewhere(subscription: Subscription, stream: WatchStream): void {
    if (this.#current === stream) this.#current = undefined;
    this.#begin(subscription);
  }

  /** The stream for new watches, opened if there is none. Whoever waits for it does so within their own bounds. */
  async #stream(bounds: Bounds): Promise<WatchStream> {
    if (this.#current !== undefined) return this.#current;
    this.#opening ??= this.#open
      .run('read', 'watch', { timeoutMs: OPEN_TIMEOUT_MS }, (own) => this.#dial(own))
      .finally(() => {
        this.#opening = undefined;
      });
    const opening = this.#opening;
    const ended = await bounds.orEnd(opening);
    if (ended !== undefined) throw ended;
    return await opening;
  }

  async #dial(bounds: Bounds): Promise<WatchStream> {
    const { connection, credentials } = await reach(this.#members, this.#authentication, bounds);
    const stream = new WatchStream(
      connection,
      credentials,
      await connection.line.stream('watch', credentials.metadata),
      this.#onOver,
    );
    this.#streams.add(stream);
    this.#current = stream;
    return stream;
  }

  /** The server is silent on this stream: new watches go to another member. Those that are on it may stay. */
  #avoid(stream: WatchStream): void {
    if (this.#current === stream) this.#current = undefined;
    this.#members.suspect(stream.connection);
    this.#authentication.unanswered(stream.credentials);
  }

  readonly #owner: SubscriptionOwner = {
    /* 3. */
    onDenied: (subscription, stream) => {
      if (!this.#authentication.hasUser) return false;
      this.#authentication.discard(stream.credentials);
      this.#beginElsewhere(subscription, stream);
      return true;
    },
    onDone: (subscription) => this.#subscriptions.delete(subscription),
  };

  readonly #onOver = (stream: WatchStream, status: GrpcStatus | undefined): void => {
    this.#streams.delete(stream);
    if (this.#current === stream) this.#current = undefined;
    if (status === undefined) return;
    if (isStaleToken(status, stream.credentials.token)) this.#authentication.discard(stream.credentials);
    else this.#members.suspect(stream.connection);
  };
}
