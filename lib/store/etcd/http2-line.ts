/**
 * A connection for unary calls on node:http2, without gRPC's library: with the same messages it takes half the processor time for a
 * call, which is what bounds a Node client's throughput. See docs/adr/0013-unary-calls-over-http2.md.
 *
 * 1. It is up when the server has been heard: its settings have come, which are the first that an HTTP/2 server says.
 * 2. What fails before that has not been sent. After a failed dial it is down, for longer each time; whoever asks meanwhile is told why.
 * 3. While calls are under way it pings, and destroys a connection that does not answer; what was under way on it has an unknown outcome.
 * 4. A server that says goodbye (GOAWAY) gets no new calls here: the next one dials anew. Those under way may end.
 */
import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { fullJitterMs } from '../../resilience/backoff.ts';
import { elapsedMs, type Instant } from '../../runtime/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import { loadCodecs, type Codecs } from './codecs.ts';
import type { Credentials } from './credentials.ts';
import type { Endpoint } from './endpoints.ts';
import { handshake } from './handshake.ts';
import { call } from './http2-call.ts';
import { REDIAL } from './limits.ts';
import type { Line, UnaryCall } from './line.ts';
import { Liveness } from './liveness.ts';
import { misunderstanding, tlsError } from './misunderstanding.ts';
import type { UnaryMethod, UnaryMethods } from './protocol.ts';

/** What may be under way towards us unread: a page of a list. The default of 64 KiB would stop the server every few messages. */
const WINDOW_BYTES = 4 * 1024 * 1024;

type State =
  | { readonly is: 'idle' }
  | { readonly is: 'connecting'; readonly since: Instant }
  | { readonly is: 'up'; readonly session: ClientHttp2Session; readonly liveness: Liveness; readonly codecs: Codecs }
  | { readonly is: 'down'; readonly since: Instant; readonly pauseMs: number; readonly cause: Promise<StoreError> };

export class Http2Line implements Line {
  readonly #runtime: Runtime;
  readonly #endpoint: Endpoint;
  readonly #secureContext: SecureContext | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ClientHttp2Session>();
  #state: State = { is: 'idle' };
  #change: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #failures = 0;
  #isOver = false;

  constructor(runtime: Runtime, endpoint: Endpoint, secureContext: SecureContext | undefined) {
    this.#runtime = runtime;
    this.#endpoint = endpoint;
    this.#secureContext = secureContext;
  }

  get isUp(): boolean {
    return this.#state.is === 'up' && !this.#state.session.closed && !this.#state.session.destroyed;
  }

  get connectingMs(): number {
    return this.#state.is === 'connecting' ? elapsedMs(this.#state.since, this.#runtime.clock.now()) : 0;
  }

  connect(): 'up' | 'connecting' | 'down' {
    const { clock } = this.#runtime;
    if (this.isUp) return 'up';
    if (this.#state.is === 'connecting') return 'connecting';
    if (this.#state.is === 'down' && elapsedMs(this.#state.since, clock.now()) < this.#state.pauseMs) return 'down';
    this.#enter({ is: 'connecting', since: clock.now() });
    void this.#dial();
    return 'connecting';
  }

  changed(): Promise<void> {
    if (this.#change === undefined) {
      let resolve = (): void => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#change = { promise, resolve };
    }
    return this.#change.promise;
  }

  async explain(): Promise<StoreError | undefined> {
    return this.#state.is === 'down' ? this.#state.cause : undefined;
  }

  unary<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]['request'],
    credentials: Credentials,
    timeoutMs: number,
  ): UnaryCall<UnaryMethods[M]['response']> {
    const state = this.#state;
    if (state.is !== 'up' || !this.isUp) throw this.#unsent('it is not up any more');
    const codec: Codecs[M] = state.codecs[method];
    let underWay: UnaryCall<UnaryMethods[M]['response']>;
    try {
      underWay = call(state.session, codec, request, this.#headers(codec.path, credentials, timeoutMs));
    } catch (error) {
      throw this.#unsent(String(error));
    }
    const { liveness } = state;
    liveness.begin();
    void underWay.answer.finally(() => liveness.end());
    return underWay;
  }

  hangUp(): void {
    this.#isOver = true;
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#enter({ is: 'idle' });
  }

  #headers(path: string, { token }: Credentials, timeoutMs: number): OutgoingHttpHeaders {
    return {
      ':method': 'POST',
      ':path': path,
      ':scheme': this.#endpoint.secure ? 'https' : 'http',
      ':authority': this.#endpoint.authority,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${Math.max(1, Math.ceil(timeoutMs))}m`,
      /* A member that has lost the cluster refuses at once instead of being silent. */
      hasleader: 'true',
      ...(token === undefined ? {} : { token }),
    };
  }

  async #dial(): Promise<void> {
    let wasTaken = false;
    let tlsFailure: string | undefined;
    const dialled: Socket[] = [];
    try {
      const socket = await this.#tcp();
      dialled.push(socket);
      wasTaken = true;
      const secured =
        this.#secureContext === undefined
          ? socket
          : await handshake(this.#runtime.clock, this.#endpoint, this.#secureContext, socket, (failure) => {
              tlsFailure = failure;
            });
      dialled.push(secured);
      this.#keep(secured);
      const [session, codecs] = await Promise.all([this.#greet(secured), loadCodecs()]);
      if (this.#isOver || session.closed) throw new Error('the server said goodbye');
      this.#failures = 0;
      /* 3 */
      const liveness = new Liveness(this.#runtime.clock, session);
      session.once('close', () => liveness.stop());
      this.#enter({ is: 'up', session, liveness, codecs });
    } catch (error) {
      for (const socket of dialled) socket.destroy();
      if (this.#isOver) return;
      const since = this.#runtime.clock.now();
      const pauseMs = REDIAL.baseMs + fullJitterMs(this.#failures, REDIAL, () => this.#runtime.random.uniform());
      this.#failures += 1;
      const cause = this.#explained(error as Error, { wasTaken, tlsFailure: () => tlsFailure });
      this.#enter({ is: 'down', since, pauseMs, cause });
    }
  }

  #tcp(): Promise<Socket> {
    const { host, port } = this.#endpoint;
    return new Promise((resolve, reject) => {
      const socket = connectTcp({ host, port, noDelay: true });
      this.#keep(socket);
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('The connection was closed as it was made')));
    });
  }

  /** 1. Resolves when the server has been heard. */
  #greet(socket: Socket): Promise<ClientHttp2Session> {
    return new Promise((resolve, reject) => {
      const session = connectHttp2(this.#endpoint.url, {
        createConnection: () => socket,
        settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
        maxSessionMemory: Number.MAX_SAFE_INTEGER,
      });
      this.#sessions.add(session);
      session.once('remoteSettings', () => {
        session.setLocalWindowSize(WINDOW_BYTES);
        resolve(session);
      });
      session.on('error', reject);
      /* A refused certificate ends the socket, of which the session says nothing before everything of it is gone. */
      socket.once('error', reject);
      /* 4 */
      session.once('goaway', () => this.#left(session));
      session.once('close', () => {
        this.#sessions.delete(session);
        this.#left(session);
        reject(new Error('The connection was closed before the server was heard'));
      });
    });
  }

  #left(session: ClientHttp2Session): void {
    if (this.#state.is === 'up' && this.#state.session === session) this.#enter({ is: 'idle' });
  }

  /** 2 */
  async #explained(
    error: Error,
    found: { readonly wasTaken: boolean; readonly tlsFailure: () => string | undefined },
  ): Promise<StoreError> {
    const tlsFailure = found.tlsFailure();
    if (tlsFailure !== undefined) return tlsError(this.#endpoint, tlsFailure);
    const mistake = found.wasTaken ? await misunderstanding(this.#runtime.clock, this.#endpoint) : undefined;
    if (mistake !== undefined) return mistake;
    return new StoreError('unreachable', 'transient', `No connection to ${this.#endpoint.url}: ${error.message}`, {
      cause: error,
    });
  }

  #unsent(why: string): StoreError {
    return new StoreError('unreachable', 'transient', `Nothing was sent to ${this.#endpoint.url}: ${why}`);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#change?.resolve();
    this.#change = undefined;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#isOver) socket.destroy();
  }
}
