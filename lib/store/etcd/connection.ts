import { StoreError } from '../store-error.ts';
import type { Bounds } from './bounds.ts';
import type { Credentials } from './credentials.ts';
import type { Endpoint } from './endpoints.ts';
import { LONGEST_CALL_MS } from './limits.ts';
import type { Line, UnaryCall } from './line.ts';
import type { UnaryMethod, UnaryMethods } from './protocol.ts';

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
  /** Why it takes nothing more. */
  #closed: StoreError | undefined;
  #unaryUnderWay = 0;

  /** `open` makes a line, which connects when it is asked to. */
  constructor(endpoint: Endpoint, open: (endpoint: Endpoint) => L) {
    this.endpoint = endpoint;
    this.dialling = `a connection to ${endpoint.url}`;
    this.answering = `an answer from ${endpoint.url}`;
    this.#open = open;
  }

  /** Whether a request could be sent now. */
  get isUp(): boolean {
    return this.#closed === undefined && this.#line?.isUp === true;
  }

  /**
   * Resolves to nothing once the connection is up, or to why it is not: because it failed, or because `bounds` ended first. Nothing of
   * the caller's has been sent.
   */
  async whenUp(bounds: Bounds): Promise<StoreError | undefined> {
    for (;;) {
      if (bounds.ended !== undefined) return bounds.ended;
      if (this.#closed !== undefined) return this.#closed;
      const line = (this.#line ??= this.#open(this.endpoint));
      switch (line.connect()) {
        case 'up':
          return undefined;
        case 'down': {
          if (line.connectingMs > STALLED_DIAL_MS) {
            this.hangUp();
            break;
          }
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
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#line !== undefined) return this.#line;
    throw new StoreError('unreachable', 'transient', `The connection to ${this.endpoint.url} was given up`);
  }

  /** Sends a request, as the {@link line} does. */
  unary<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    credentials: Credentials,
    timeoutMs: number,
  ): UnaryCall<UnaryMethods[M]['response']> {
    /* Whoever gives a call more time than that keeps it: the caller's own timer ends it, and this one is a courtesy to the server. */
    const call = this.line.unary(method, request, credentials, Math.min(timeoutMs, LONGEST_CALL_MS));
    this.#unaryUnderWay += 1;
    call.answer.then(this.#onAnswer, this.#onAnswer);
    return call;
  }

  /** Destroys the connection with everything that is under way on it. The next call that needs it dials again. */
  hangUp(): void {
    const line = this.#line;
    this.#line = undefined;
    line?.hangUp();
  }

  /** The same, for good. */
  close(): void {
    this.#closed = new StoreError('closed', 'permanent', 'The store was closed');
    this.hangUp();
  }

  /**
   * Takes nothing more: the member is not in the list now. A write that is under way may still be answered, which is better than an unknown
   * outcome; its own timeout bounds that. Without one, streams break at once, so that they go on elsewhere.
   */
  retire(): void {
    this.#closed ??= new StoreError(
      'unreachable',
      'transient',
      `${this.endpoint.url} is no longer an endpoint of etcd`,
    );
    if (this.#unaryUnderWay === 0) this.hangUp();
  }

  readonly #onAnswer = (): void => {
    this.#unaryUnderWay -= 1;
    if (this.#closed !== undefined && this.#unaryUnderWay === 0) this.hangUp();
  };
}
