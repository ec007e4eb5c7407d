import { StoreError } from '../store-error.ts';
import type { Bounds } from './bounds.ts';
import type { Endpoint } from './endpoints.ts';
import type { Line } from './line.ts';

/** A connection that is not up after so long has met silence, and is dialled again by the next call that needs it. */
const STALLED_DIAL_MS = 3_000;

/**
 * One HTTP/2 connection to one member, made when it is first needed and again whenever it broke.
 *
 * A request is handed to its line only while that is up. Whatever fails before that has provably not been sent, so that a write,
 * too, may go to another member.
 */
export class Connection<L extends Line = Line> {
  readonly endpoint: Endpoint;
  /** What a call waits for, in the words of its timeout. */
  readonly dialling: string;
  readonly answering: string;
  readonly #open: (endpoint: Endpoint) => L;
  #line: L | undefined;
  #closed = false;

  /** `open` makes a line, which connects when it is asked to. */
  constructor(endpoint: Endpoint, open: (endpoint: Endpoint) => L) {
    this.endpoint = endpoint;
    this.dialling = `a connection to ${endpoint.url}`;
    this.answering = `an answer from ${endpoint.url}`;
    this.#open = open;
  }

  /** Whether a request could be sent now. */
  get isUp(): boolean {
    return this.#line?.isUp === true;
  }

  /**
   * Resolves to nothing once the connection is up, or to why it is not: because it failed, or because `bounds` ended first. Nothing of
   * the caller's has been sent.
   */
  async whenUp(bounds: Bounds): Promise<StoreError | undefined> {
    for (;;) {
      if (bounds.ended !== undefined) return bounds.ended;
      if (this.#closed) return closedError();
      const line = (this.#line ??= this.#open(this.endpoint));
      switch (line.connect()) {
        case 'up':
          return undefined;
        case 'down': {
          const explaining = line.explain();
          const failure = (await bounds.orEnd(explaining)) ?? (await explaining);
          if (failure !== undefined) return failure;
          break;
        }
        case 'connecting': {
          if (line.connectingMs > STALLED_DIAL_MS) {
            this.hangUp();
            break;
          }
          const ended = await bounds.orEnd(line.changed());
          if (ended !== undefined) return ended;
        }
      }
    }
  }

  /** For calls, once the connection {@link whenUp is up}. Throws a StoreError if it was given up since then. */
  get line(): L {
    if (this.#line !== undefined) return this.#line;
    if (this.#closed) throw closedError();
    throw new StoreError('unreachable', 'transient', `The connection to ${this.endpoint.url} was given up`);
  }

  /** Destroys the connection with everything that is under way on it. The next call that needs it dials again. */
  hangUp(): void {
    const line = this.#line;
    this.#line = undefined;
    line?.hangUp();
  }

  /** The same, for good. */
  close(): void {
    this.#closed = true;
    this.hangUp();
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'permanent', 'The store was closed');
}
