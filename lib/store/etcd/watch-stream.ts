import { status as Status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import type { IWatchRequest, IWatchResponse } from 'etcd3';
import { StoreError } from '../store-error.ts';
import type { WatchRequest } from '../store.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { classify, type GrpcStatus } from './grpc-errors.ts';
import type { GrpcLine } from './grpc-line.ts';
import { RevisionBatches, type SizedBatch } from './revision-batches.ts';
import { revisionOf, toRange } from './wire.ts';

/** What becomes of one watch. */
export interface WatchListener {
  /** The server has accepted the watch, at this revision. */
  onCreated(revision: bigint): void;
  onBatch(batch: SizedBatch): void;
  /** Nothing has happened up to this revision. */
  onProgress(revision: bigint): void;
  /** The watch is over. `refused`: it never began, while the stream and its other watches go on. */
  onEnd(error: StoreError, refused: boolean): void;
}

interface Watch {
  readonly listener: WatchListener;
  readonly batches: RevisionBatches;
  created: boolean;
}

/** etcd's number for a watch that it refuses. */
const REFUSED = '-1';

/**
 * One gRPC stream that carries any number of watches. Each has a number of our own choosing that is never used again, so that what
 * comes late for a cancelled watch cannot be taken for another's.
 *
 * A watch that the server refuses or cancels ends alone. When the stream ends, all of its watches do.
 */
export class WatchStream {
  readonly connection: Connection<GrpcLine>;
  readonly credentials: Credentials;
  readonly #stream: ClientDuplexStream<IWatchRequest, IWatchResponse>;
  readonly #onOver: (stream: WatchStream, status: GrpcStatus | undefined) => void;
  readonly #watches = new Map<string, Watch>();
  /** The numbers that the server has not answered yet, in the order in which it was asked: so it answers. */
  readonly #unanswered = new Set<string>();
  #lastId = 0;
  #over = false;

  /** `onOver` is called once: with a status if the stream broke, without one after its last watch has left. */
  constructor(
    connection: Connection<GrpcLine>,
    credentials: Credentials,
    stream: ClientDuplexStream<IWatchRequest, IWatchResponse>,
    onOver: (stream: WatchStream, status: GrpcStatus | undefined) => void,
  ) {
    this.connection = connection;
    this.credentials = credentials;
    this.#stream = stream;
    this.#onOver = onOver;
    stream.on('data', (response: IWatchResponse) => {
      try {
        this.#receive(response);
      } catch (error) {
        /* An answer that makes no sense must not end the process. */
        this.#break({ code: Status.INTERNAL, details: `The answer to a watch could not be read: ${String(error)}` });
      }
    });
    stream.on('error', (error: ServiceError) => this.#break({ code: error.code, details: error.details }));
    stream.on('end', () =>
      this.#break({ code: Status.UNAVAILABLE, details: 'The watch stream was ended by the server' }),
    );
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Begins a watch. Returns its number. */
  watch(request: WatchRequest, listener: WatchListener): string {
    const id = String(++this.#lastId);
    this.#unanswered.add(id);
    this.#watches.set(id, { listener, batches: new RevisionBatches(), created: false });
    this.#stream.write({
      create_request: {
        ...toRange(request.span),
        start_revision: String(request.fromRevision),
        watch_id: id,
        progress_notify: true,
        fragment: true,
      },
    });
    return id;
  }

  /** Ends a watch from our side, if it has not ended, without a word to its listener. */
  leave(id: string): void {
    if (!this.#watches.delete(id) || this.#over) return;
    if (this.#watches.size === 0) this.#close(undefined);
    else this.#stream.write({ cancel_request: { watch_id: id } });
  }

  /** Ends the stream and all that is on it. */
  end(error: StoreError): void {
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    this.#close(undefined);
    for (const { listener } of watches) listener.onEnd(error, false);
  }

  #receive(response: IWatchResponse): void {
    const id = this.#idOf(response);
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    if (response.canceled) {
      this.#forget(id);
      watch.listener.onEnd(whyCancelled(response, this.connection), !watch.created);
      return;
    }
    if (response.created) {
      watch.created = true;
      watch.listener.onCreated(revisionOf(response));
      return;
    }
    const batch = watch.batches.add(response);
    if (batch !== undefined) watch.listener.onBatch(batch);
    else if (response.events.length === 0) watch.listener.onProgress(revisionOf(response));
  }

  /** A refusal carries -1 for a number: it is the answer to the oldest question. */
  #idOf(response: IWatchResponse): string {
    const [oldest = REFUSED] = this.#unanswered;
    const id = response.watch_id === REFUSED ? oldest : response.watch_id;
    if (response.created) this.#unanswered.delete(id);
    return id;
  }

  #forget(id: string): void {
    this.#watches.delete(id);
    if (this.#watches.size === 0) this.#close(undefined);
  }

  #break(status: GrpcStatus): void {
    if (this.#over) return;
    const error = classify('read', status, this.connection.endpoint.url);
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    this.#close(status);
    for (const { listener, created } of watches) listener.onEnd(error, !created);
  }

  #close(status: GrpcStatus | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.cancel();
    this.#onOver(this, status);
  }
}

function whyCancelled(response: IWatchResponse, connection: Connection<GrpcLine>): StoreError {
  const compactRevision = BigInt(response.compact_revision);
  if (compactRevision > 0n) {
    return new StoreError('compacted', 'permanent', `The history before revision ${compactRevision} is compacted`, {
      compactRevision,
    });
  }
  const details = response.cancel_reason === '' ? 'The server cancelled the watch' : response.cancel_reason;
  return classify('read', { code: Status.CANCELLED, details }, connection.endpoint.url);
}
