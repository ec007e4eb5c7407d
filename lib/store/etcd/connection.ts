import type { SecureContext } from 'node:tls';
import {
  Channel,
  connectivityState,
  Metadata,
  type Client,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { elapsedMs, type Instant } from '../../runtime/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import type { Bounds } from './bounds.ts';
import { Dialer } from './dialer.ts';
import type { Endpoint } from './endpoints.ts';
import type { GrpcStatus } from './grpc-errors.ts';
import { speaksPlainHttp2, speaksTls } from './language-probe.ts';
import {
  Protocol,
  SERVICE_OF,
  type Service,
  type StreamMethod,
  type StreamMethods,
  type UnaryMethod,
  type UnaryMethods,
} from './protocol.ts';

/** A connection that is not up after so long has met silence, and is dialled again by the next call that needs it. */
const STALLED_DIAL_MS = 3_000;

/** How long the cause of a failed connection is looked for, and then told without looking again. */
const EXPLAIN_TIMEOUT_MS = 500;
const EXPLANATION_HOLDS_MS = 500;

/** etcd allows 2 MiB for a request by default, and answers of any size: a page of a list, or all events of a revision. */
const LARGEST_ANSWER_BYTES = 128 * 1024 * 1024;

/* Each value that is not gRPC's default is here for a reason. */
const CHANNEL_OPTIONS: Readonly<Record<string, number>> = {
  /* Channels to one address would otherwise share a connection, and with it each other's fate and flow control. */
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': LARGEST_ANSWER_BYTES,
  'grpc.max_send_message_length': -1,
  /*
   * A dead connection is noticed in 7.5 s. etcd takes a ping every 5 s at most (--grpc-keepalive-min-time), as they arrive and not as
   * they were sent, and ends the connection with "excess pings" after three; it takes none while there is no call.
   */
  'grpc.keepalive_time_ms': 5_500,
  'grpc.keepalive_timeout_ms': 2_000,
  /* gRPC's own pause grows to two minutes, for which a healed network would look broken. */
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  /* Nothing is ever repeated below us. */
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  /* An HTTP proxy of the environment is not for this. */
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
};

/** A unary call under way. */
export interface UnaryCall<Response> {
  readonly answer: Promise<{ readonly response: Response } | { readonly status: GrpcStatus }>;
  cancel(): void;
}

interface Line {
  readonly channel: Channel;
  readonly dialer: Dialer;
  readonly protocol: Protocol;
  readonly clients: Map<Service, Promise<Client>>;
  /** When it began to connect; `undefined` while it is up. */
  dialledAt: Instant | undefined;
  /** Resolves at the next change of the channel's state. One for all who wait for it. */
  change: Promise<void> | undefined;
  /** Why it is down. One for all who ask. */
  explanation: { readonly since: Instant; readonly cause: Promise<StoreError | undefined> } | undefined;
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
  readonly #runtime: Runtime;
  readonly #secureContext: SecureContext | undefined;
  #line: Line | undefined;
  #closed = false;

  constructor(runtime: Runtime, endpoint: Endpoint, secureContext: SecureContext | undefined) {
    this.#runtime = runtime;
    this.endpoint = endpoint;
    this.dialling = `a connection to ${endpoint.url}`;
    this.answering = `an answer from ${endpoint.url}`;
    this.#secureContext = secureContext;
  }

  /** Whether a request could be sent now. */
  get isUp(): boolean {
    return this.#line?.channel.getConnectivityState(false) === connectivityState.READY;
  }

  /**
   * Resolves to nothing once the connection is up, or to why it is not: because it failed, or because `bounds` ended first. Nothing of
   * the caller's has been sent.
   */
  async whenUp(bounds: Bounds): Promise<StoreError | undefined> {
    for (;;) {
      if (bounds.ended !== undefined) return bounds.ended;
      if (this.#closed) return closedError();
      const line = (this.#line ??= this.#dial());
      switch (line.channel.getConnectivityState(true)) {
        case connectivityState.READY:
          line.dialledAt = undefined;
          return undefined;
        case connectivityState.TRANSIENT_FAILURE: {
          const explaining = this.#explanation(line);
          const failure = (await bounds.orEnd(explaining)) ?? (await explaining);
          if (failure !== undefined) return failure;
          break;
        }
        default: {
          const now = this.#runtime.clock.now();
          line.dialledAt ??= now;
          if (elapsedMs(line.dialledAt, now) > STALLED_DIAL_MS) {
            this.#hangUp();
            break;
          }
          const ended = await bounds.orEnd(changeOf(line));
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
    const client = await this.#client(SERVICE_OF[method]);
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
    const client = await this.#client(SERVICE_OF[method]);
    const open = (client as unknown as Record<StreamMethod, (metadata: Metadata) => Stream>)[method].bind(client);
    return open(metadata);
  }

  /** Destroys the connection with everything that is under way on it, for good. */
  close(): void {
    this.#closed = true;
    this.#hangUp();
  }

  #client(service: Service): Promise<Client> {
    if (this.#closed) return Promise.reject(closedError());
    const line = (this.#line ??= this.#dial());
    let client = line.clients.get(service);
    if (client === undefined) {
      client = line.protocol.client(service);
      line.clients.set(service, client);
    }
    return client;
  }

  #dial(): Line {
    const { authority } = this.endpoint;
    const dialer = new Dialer(this.#runtime.clock, this.endpoint, this.#secureContext);
    const options = { ...CHANNEL_OPTIONS, 'grpc.default_authority': authority };
    const channel = new Channel(`dns:${authority}`, dialer, options);
    const protocol = new Protocol(authority, { ...options, channelOverride: channel });
    return {
      channel,
      dialer,
      protocol,
      clients: new Map(),
      dialledAt: undefined,
      change: undefined,
      explanation: undefined,
    };
  }

  #hangUp(): void {
    const line = this.#line;
    this.#line = undefined;
    line?.channel.close();
    line?.dialer.destroy();
  }

  #explanation(line: Line): Promise<StoreError | undefined> {
    const now = this.#runtime.clock.now();
    if (line.explanation === undefined || elapsedMs(line.explanation.since, now) > EXPLANATION_HOLDS_MS) {
      line.explanation = { since: now, cause: this.#explain(line) };
    }
    return line.explanation.cause;
  }

  /**
   * A failed channel answers any call at once with the cause, without sending it; so it is asked with one that would do no harm if it
   * were sent after all. Resolves to nothing if the connection has come up in the meantime.
   */
  async #explain(line: Line): Promise<StoreError | undefined> {
    const { clock } = this.#runtime;
    const call = await this.unary('status', {}, new Metadata(), new Date(clock.now().wallMs + EXPLAIN_TIMEOUT_MS));
    const answer = await call.answer;
    if (!('status' in answer)) return undefined;
    if (line.dialer.tlsFailure !== undefined) return this.#tls(line.dialer.tlsFailure);
    /* Somebody took the connection and then ended it, as is done with those who speak another language. */
    if (line.dialer.wasTaken) {
      if (this.endpoint.secure && (await speaksPlainHttp2(clock, this.endpoint, EXPLAIN_TIMEOUT_MS))) {
        return this.#tls('the server speaks no TLS: use http instead of https');
      }
      if (!this.endpoint.secure && (await speaksTls(clock, this.endpoint, EXPLAIN_TIMEOUT_MS))) {
        return this.#tls('the server speaks TLS: use https instead of http');
      }
    }
    return this.#unreachable(answer.status.details.replace(/ Resolution note: *$/, ''));
  }

  #tls(cause: string): StoreError {
    return new StoreError('tls', 'permanent', `No TLS connection to ${this.endpoint.url}: ${cause}`);
  }

  #unreachable(cause: string): StoreError {
    return new StoreError('unreachable', 'transient', `No connection to ${this.endpoint.url}: ${cause}`);
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'permanent', 'The store was closed');
}

function changeOf(line: Line): Promise<void> {
  line.change ??= new Promise((resolve) => {
    const state = line.channel.getConnectivityState(false);
    line.channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      line.change = undefined;
      resolve();
    });
  });
  return line.change;
}
