import type { SecureContext } from 'node:tls';
import {
  Channel,
  connectivityState,
  Metadata,
  type Client,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { elapsedMs, type Clock, type Instant } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { Credentials } from './credentials.ts';
import { Dialer } from './dialer.ts';
import type { Endpoint } from './endpoints.ts';
import { LARGEST_ANSWER_BYTES, PING_EVERY_MS, PING_TIMEOUT_MS, REDIAL } from './limits.ts';
import type { Line, UnaryCall } from './line.ts';
import { EXPLAIN_TIMEOUT_MS, misunderstanding, tlsError } from './misunderstanding.ts';
import {
  Protocol,
  SERVICE_OF,
  type Service,
  type StreamMethod,
  type StreamMethods,
  type UnaryMethod,
  type UnaryMethods,
} from './protocol.ts';

/** How long the cause of a failed connection is told without looking again. */
const EXPLANATION_HOLDS_MS = 500;

/* Each value that is not gRPC's default is here for a reason. */
const CHANNEL_OPTIONS: Readonly<Record<string, number>> = {
  /* Channels to one address would otherwise share a connection, and with it each other's fate and flow control. */
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': LARGEST_ANSWER_BYTES,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': PING_EVERY_MS,
  'grpc.keepalive_timeout_ms': PING_TIMEOUT_MS,
  'grpc.initial_reconnect_backoff_ms': REDIAL.baseMs,
  'grpc.max_reconnect_backoff_ms': REDIAL.capMs,
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  /* Nothing is ever repeated below us. */
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  /* An HTTP proxy of the environment is not for this. */
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
};

/** How gRPC answers a call: the part of it that an explanation needs. */
type AskStatus = (
  request: object,
  metadata: Metadata,
  options: { readonly deadline: Date },
  callback: (error: { readonly details: string } | null) => void,
) => void;

/** A connection of gRPC's library, for streams: one channel, with the reason why it is down while it is. */
export class GrpcLine implements Line {
  readonly #clock: Clock;
  readonly #endpoint: Endpoint;
  readonly #channel: Channel;
  readonly #dialer: Dialer;
  readonly #protocol: Protocol;
  readonly #clients = new Map<Service, Promise<Client>>();
  /** Resolves at the next change of the channel's state. One for all who wait for it. */
  #change: Promise<void> | undefined;
  /** Why it is down. One for all who ask. */
  #explanation: { readonly since: Instant; readonly cause: Promise<StoreError | undefined> } | undefined;
  #connectingSince: Instant | undefined;

  constructor(clock: Clock, endpoint: Endpoint, secureContext: SecureContext | undefined) {
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#dialer = new Dialer(clock, endpoint, secureContext);
    const options = { ...CHANNEL_OPTIONS, 'grpc.default_authority': endpoint.authority };
    this.#channel = new Channel(`dns:${endpoint.authority}`, this.#dialer, options);
    this.#protocol = new Protocol(endpoint.authority, { ...options, channelOverride: this.#channel });
  }

  get isUp(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.READY;
  }

  /** Looks how it is, and begins to connect if nobody has. */
  connect(): 'up' | 'connecting' | 'down' {
    switch (this.#channel.getConnectivityState(true)) {
      case connectivityState.READY:
        this.#connectingSince = undefined;
        return 'up';
      case connectivityState.TRANSIENT_FAILURE:
        /* gRPC calls it that until it is up again, and says nothing of the dials in between. */
        this.#connectingSince = this.#dialer.dialledAt;
        return 'down';
      default:
        this.#connectingSince ??= this.#clock.now();
        return 'connecting';
    }
  }

  /** For how long it has been connecting. */
  get connectingMs(): number {
    return this.#connectingSince === undefined ? 0 : elapsedMs(this.#connectingSince, this.#clock.now());
  }

  /** Resolves when its state is another. */
  changed(): Promise<void> {
    this.#change ??= new Promise((resolve) => {
      const state = this.#channel.getConnectivityState(false);
      this.#channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
        this.#change = undefined;
        resolve();
      });
    });
    return this.#change;
  }

  unary<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    { metadata }: Credentials,
    timeoutMs: number,
  ): UnaryCall<UnaryMethods[M]['response']> {
    type Response = UnaryMethods[M]['response'];
    type Invoke = (
      request: object,
      metadata: Metadata,
      options: { readonly deadline: Date },
      callback: (error: ServiceError | null, response?: Response) => void,
    ) => { cancel(): void };
    const deadline = new Date(this.#clock.now().wallMs + timeoutMs);
    let cancel = (): void => {};
    let isCancelled = false;
    const answer: UnaryCall<Response>['answer'] = this.#client(SERVICE_OF[method]).then(
      (client) =>
        new Promise((resolve) => {
          const invoke = (client as unknown as Record<UnaryMethod, Invoke>)[method].bind(client);
          const call = invoke(request, metadata, { deadline }, (error, response) => {
            if (error !== null) resolve({ status: { code: error.code, details: error.details } });
            else resolve({ response: response as Response });
          });
          cancel = () => call.cancel();
          if (isCancelled) cancel();
        }),
    );
    return {
      answer,
      cancel: () => {
        isCancelled = true;
        cancel();
      },
    };
  }

  /** Opens a stream, while it is up. */
  async stream<M extends StreamMethod>(
    method: M,
    metadata: Metadata,
  ): Promise<ClientDuplexStream<StreamMethods[M]['request'], StreamMethods[M]['response']>> {
    type Stream = ClientDuplexStream<StreamMethods[M]['request'], StreamMethods[M]['response']>;
    const client = await this.#client(SERVICE_OF[method]);
    if (this.#isOver) {
      throw new StoreError('unreachable', 'transient', `The connection to ${this.#endpoint.url} was given up`);
    }
    const open = (client as unknown as Record<StreamMethod, (metadata: Metadata) => Stream>)[method].bind(client);
    return open(metadata);
  }

  /** A channel that is shut down throws at whoever calls on it. */
  get #isOver(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.SHUTDOWN;
  }

  #client(service: Service): Promise<Client> {
    let client = this.#clients.get(service);
    if (client === undefined) {
      client = this.#protocol.client(service);
      this.#clients.set(service, client);
    }
    return client;
  }

  /** Why it is down. Resolves to nothing if it has come up in the meantime. */
  explain(): Promise<StoreError | undefined> {
    const now = this.#clock.now();
    if (this.#explanation === undefined || elapsedMs(this.#explanation.since, now) > EXPLANATION_HOLDS_MS) {
      this.#explanation = { since: now, cause: this.#findCause() };
    }
    return this.#explanation.cause;
  }

  /** Destroys the connection with everything that is under way on it, now and for good. */
  hangUp(): void {
    this.#channel.close();
    this.#dialer.destroy();
  }

  async #findCause(): Promise<StoreError | undefined> {
    const failure = await this.#askForFailure();
    if (failure === undefined) return undefined;
    const { tlsFailure, wasTaken } = this.#dialer;
    if (tlsFailure !== undefined) return tlsError(this.#endpoint, tlsFailure);
    const mistake = wasTaken ? await misunderstanding(this.#clock, this.#endpoint) : undefined;
    if (mistake !== undefined) return mistake;
    const cause = failure.replace(/ Resolution note: *$/, '');
    return new StoreError('unreachable', 'transient', `No connection to ${this.#endpoint.url}: ${cause}`);
  }

  /**
   * A failed channel answers any call at once with the cause, without sending it; so it is asked with one that would do no harm if it
   * were sent after all.
   */
  async #askForFailure(): Promise<string | undefined> {
    const client = await this.#client('Maintenance');
    if (this.#isOver) return undefined;
    const deadline = new Date(this.#clock.now().wallMs + EXPLAIN_TIMEOUT_MS);
    return new Promise((resolve) => {
      const ask = (client as unknown as { readonly status: AskStatus }).status.bind(client);
      ask({}, new Metadata(), { deadline }, (error) => resolve(error?.details));
    });
  }
}
