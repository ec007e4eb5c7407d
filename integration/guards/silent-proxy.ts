import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP proxy on loopback that can fall silent without closing a connection, as a lost network does. */
export class SilentProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #mode: 'open' | 'requests only' | 'silent' = 'open';

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** `port` is its own. @default any that is free */
  static async start(targetPort: number, port = 0): Promise<SilentProxy> {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new SilentProxy(server);
    server.on('connection', (client) => proxy.#join(client, connect(targetPort, '127.0.0.1')));
    return proxy;
  }

  /** Requests reach the server; its answers are thrown away. */
  dropAnswers(): void {
    this.#mode = 'requests only';
  }

  /** Nothing passes in either direction, and nothing is closed. */
  blackhole(): void {
    this.#mode = 'silent';
  }

  heal(): void {
    this.#mode = 'open';
  }

  /** Ends all connections; new ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
    }
    client.on('data', (data) => this.#mode !== 'silent' && server.write(data));
    server.on('data', (data) => this.#mode === 'open' && client.write(data));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }
}
