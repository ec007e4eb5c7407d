import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { ChannelCredentials, credentials } from '@grpc/grpc-js';
import type { Clock } from '../../runtime/clock.ts';
import type { Endpoint } from './endpoints.ts';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type SecureConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;
type SecureConnectResult = Awaited<ReturnType<SecureConnector['connect']>>;

/** A TLS handshake that takes longer has met silence. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/**
 * The credentials of a channel, which in grpc-js make the secure connection of a TCP connection. We make it ourselves, for two reasons:
 * gRPC reports every certificate mistake as "unavailable", and closing a channel leaves a socket open that was still waiting for the
 * server's first word. So this keeps the exact cause of the last failed handshake, and every socket, to destroy.
 */
export class Dialer extends ChannelCredentials {
  readonly #clock: Clock;
  readonly #endpoint: Endpoint;
  readonly #secureContext: SecureContext | undefined;
  readonly #sockets = new Set<Socket>();
  #destroyed = false;
  #tlsFailure: string | undefined;
  #wasTaken = false;

  constructor(clock: Clock, endpoint: Endpoint, secureContext: SecureContext | undefined) {
    super();
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#secureContext = secureContext;
  }

  /** Why the last handshake failed, if that has to do with TLS. */
  get tlsFailure(): string | undefined {
    return this.#tlsFailure;
  }

  /** Whether a server has ever taken a connection, if only to end it. */
  get wasTaken(): boolean {
    return this.#wasTaken;
  }

  /** Destroys what is open, and whatever connection still comes about. */
  destroy(): void {
    this.#destroyed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#secureContext !== undefined;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...[target, options, callCredentials]: SecureConnectorArguments): SecureConnector {
    /* Only for its call credentials, which are none. */
    const plain = credentials.createInsecure()._createSecureConnector(target, options, callCredentials);
    return {
      connect: (socket) => this.#secure(socket),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => plain.getCallCredentials(),
      destroy: () => undefined,
    };
  }

  async #secure(socket: Socket): Promise<SecureConnectResult> {
    this.#wasTaken = true;
    this.#keep(socket);
    if (this.#destroyed) {
      socket.destroy();
      throw new Error('The connection is not wanted any more');
    }
    if (this.#secureContext === undefined) return { socket, secure: false };
    const secured = await this.#handshake(socket, this.#secureContext);
    this.#keep(secured);
    return { socket: secured, secure: true };
  }

  #handshake(socket: Socket, secureContext: SecureContext): Promise<TLSSocket> {
    const { host } = this.#endpoint;
    return new Promise((resolve, reject) => {
      const secured = connectTls({
        socket,
        secureContext,
        host,
        /* The name of the virtual host, which may not be an address (RFC 6066). The certificate is checked against `host` in any case. */
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ALPNProtocols: ['h2'],
      });
      const stop = this.#clock.schedule(HANDSHAKE_TIMEOUT_MS, () => {
        secured.destroy(new Error(`The TLS handshake did not end within ${HANDSHAKE_TIMEOUT_MS} ms`));
      });
      secured.once('secureConnect', () => {
        stop();
        this.#tlsFailure = undefined;
        resolve(secured);
      });
      /* It stays: in TLS 1.3 the server refuses a client's certificate only after the client's side of the handshake has succeeded. */
      secured.on('error', (error: NodeJS.ErrnoException) => {
        stop();
        if (isAboutTls(error)) this.#tlsFailure = error.message;
        reject(error);
      });
      secured.once('close', () => {
        stop();
        reject(new Error('The connection was closed during the TLS handshake'));
      });
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Certificates and protocol, as opposed to the network below. */
function isAboutTls(error: NodeJS.ErrnoException): boolean {
  const code = error.code ?? '';
  const ofTheNetwork = [
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'ECONNREFUSED',
    'ECONNABORTED',
    'EHOSTUNREACH',
    'ENETUNREACH',
  ];
  return code !== '' && !ofTheNetwork.includes(code);
}
