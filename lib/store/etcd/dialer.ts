import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { ChannelCredentials, credentials } from '@grpc/grpc-js';
import type { Clock, Instant } from '../../runtime/clock.ts';
import type { Endpoint } from './endpoints.ts';
import { handshake } from './handshake.ts';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type SecureConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;
type SecureConnectResult = Awaited<ReturnType<SecureConnector['connect']>>;

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
  #dialledAt: Instant | undefined;
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

  /** When the last dial began. */
  get dialledAt(): Instant | undefined {
    return this.#dialledAt;
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
      /* The first that gRPC does when it dials. */
      waitForReady: () => {
        this.#dialledAt = this.#clock.now();
        return Promise.resolve();
      },
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
    const secured = await handshake(this.#clock, this.#endpoint, this.#secureContext, socket, (failure) => {
      this.#tlsFailure = failure;
    });
    this.#keep(secured);
    return { socket: secured, secure: true };
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
