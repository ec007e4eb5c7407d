import type { SecureContext } from 'node:tls';
import { Channel, connectivityState, Metadata, type Client } from '@grpc/grpc-js';
import { elapsedMs, type Clock, type Instant } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import { Dialer } from './dialer.ts';
import type { Endpoint } from './endpoints.ts';
import { speaksPlainHttp2, speaksTls } from './language-probe.ts';
import { Protocol, type Service } from './protocol.ts';

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

/** How gRPC answers a call: the part of it that an explanation needs. */
type AskStatus = (
  request: object,
  metadata: Metadata,
  options: { readonly deadline: Date },
  callback: (error: { readonly details: string } | null) => void,
) => void;

/** One gRPC channel, from dialling to hanging up, with the reason why it is down while it is. */
export class Line {
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

  client(service: Service): Promise<Client> {
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
    if (tlsFailure !== undefined) return this.#tls(tlsFailure);
    /* Somebody took the connection and then ended it, as is done with those who speak another language. */
    if (wasTaken) {
      const { secure } = this.#endpoint;
      if (secure && (await speaksPlainHttp2(this.#clock, this.#endpoint, EXPLAIN_TIMEOUT_MS))) {
        return this.#tls('the server speaks no TLS: use http instead of https');
      }
      if (!secure && (await speaksTls(this.#clock, this.#endpoint, EXPLAIN_TIMEOUT_MS))) {
        return this.#tls('the server speaks TLS: use https instead of http');
      }
    }
    const cause = failure.replace(/ Resolution note: *$/, '');
    return new StoreError('unreachable', 'transient', `No connection to ${this.#endpoint.url}: ${cause}`);
  }

  /**
   * A failed channel answers any call at once with the cause, without sending it; so it is asked with one that would do no harm if it
   * were sent after all.
   */
  async #askForFailure(): Promise<string | undefined> {
    const client = await this.client('Maintenance');
    const deadline = new Date(this.#clock.now().wallMs + EXPLAIN_TIMEOUT_MS);
    return new Promise((resolve) => {
      const ask = (client as unknown as { readonly status: AskStatus }).status.bind(client);
      ask({}, new Metadata(), { deadline }, (error) => resolve(error?.details));
    });
  }

  #tls(cause: string): StoreError {
    return new StoreError('tls', 'permanent', `No TLS connection to ${this.#endpoint.url}: ${cause}`);
  }
}
