import type { SecureContext } from 'node:tls';
import type { Client, ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { Bounds } from './bounds.ts';
import type { Endpoint } from './endpoints.ts';
import type { GrpcStatus } from './grpc-errors.ts';
import { Line } from './line.ts';
import { SERVICE_OF, type StreamMethod, type StreamMethods, type UnaryMethod, type UnaryMethods } from './protocol.ts';

/** A connection that is not up after so long has met silence, and is dialled again by the next call that needs it. */
const STALLED_DIAL_MS = 3_000;

/** A unary call under way. */
export interface UnaryCall<Response> {
  readonly answer: Promise<{ readonly response: Response } | { readonly status: GrpcStatus }>;
  cancel(): void;
}

/**
 * One HTTP/2 connection to one member, made when it is first needed and again whenever it broke.
 *
 * A request is handed to gRPC only while the connection is up. Whatever fails before that has provably not been sent, so that a write,
 * too, may go to another member.
 */
export class Connection {
  readonly endpoint: Endpoint;
  /** What a call waits for, in the words of its timeout. */
  readonly dialling: string;
  readonly answering: string;
  readonly #clock: Clock;
  readonly #secureContext: SecureContext | undefined;
  #line: Line | undefined;
  #closed = false;

  constructor(clock: Clock, endpoint: Endpoint, secureContext: SecureContext | undefined) {
    this.#clock = clock;
    this.endpoint = endpoint;
    this.dialling = `a connection to ${endpoint.url}`;
    this.answering = `an answer from ${endpoint.url}`;
    this.#secureContext = secureContext;
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
      const line = (this.#line ??= new Line(this.#clock, this.endpoint, this.#secureContext));
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

  /** Sends a request. Only to be called when the connection {@link whenUp is up}. */
  async unary<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    metadata: Metadata,
    deadline: Date,
  ): Promise<UnaryCall<UnaryMethods[M]['response']>> {
    type Response = UnaryMethods[M]['response'];
    type Invoke = (
      request: object,
      metadata: Metadata,
      options: { readonly deadline: Date },
      callback: (error: ServiceError | null, response?: Response) => void,
    ) => { cancel(): void };
    const client = await this.#client(method);
    const invoke = (client as unknown as Record<UnaryMethod, Invoke>)[method].bind(client);
    let cancel = (): void => undefined;
    const answer: UnaryCall<Response>['answer'] = new Promise((resolve) => {
      const call = invoke(request, metadata, { deadline }, (error, response) => {
        if (error !== null) resolve({ status: { code: error.code, details: error.details } });
        else resolve({ response: response as Response });
      });
      cancel = () => call.cancel();
    });
    return { answer, cancel };
  }

  /** Opens a stream. Only to be called when the connection {@link whenUp is up}. */
  async stream<M extends StreamMethod>(
    method: M,
    metadata: Metadata,
  ): Promise<ClientDuplexStream<StreamMethods[M]['request'], StreamMethods[M]['response']>> {
    type Stream = ClientDuplexStream<StreamMethods[M]['request'], StreamMethods[M]['response']>;
    const client = await this.#client(method);
    const open = (client as unknown as Record<StreamMethod, (metadata: Metadata) => Stream>)[method].bind(client);
    return open(metadata);
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

  #client(method: UnaryMethod | StreamMethod): Promise<Client> {
    if (this.#line !== undefined) return this.#line.client(SERVICE_OF[method]);
    const lost = new StoreError('unreachable', 'transient', `The connection to ${this.endpoint.url} was given up`);
    return Promise.reject(this.#closed ? closedError() : lost);
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'permanent', 'The store was closed');
}
