import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { FaultProxy } from './fault-proxy.ts';

/** A server that keeps what it hears and answers each line with itself. */
class EchoServer implements AsyncDisposable {
  readonly endpoint: string;
  readonly heard: string[] = [];
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.endpoint = `http://127.0.0.1:${port}`;
    this.#close = close;
  }

  static async start(): Promise<EchoServer> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        echo.heard.push(bytes.toString());
        socket.write(bytes);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const echo = new EchoServer((server.address() as AddressInfo).port, async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    });
    return echo;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

class Client implements Disposable {
  readonly socket: Socket;
  #received = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString();
    });
  }

  static async connect(endpoint: string): Promise<Client> {
    const socket = connect(Number(new URL(endpoint).port), '127.0.0.1');
    const client = new Client(socket);
    await once(socket, 'connect');
    return client;
  }

  get received(): string {
    return this.#received;
  }

  async until(text: string): Promise<void> {
    while (!this.#received.includes(text)) await once(this.socket, 'data');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Time for loopback to do what it would do; a claim that nothing happens cannot wait for an event. */
async function someTurns(): Promise<void> {
  for (let count = 0; count < 200; count++) await turn();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test('everything passes until a fault is asked for', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  client.socket.write('hello');
  await client.until('hello');
  t.deepEqual(server.heard, ['hello']);
  t.is(proxy.connections, 1);
});

test('in a blackhole connections stay open and nothing passes, and it arrives after the healing', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  client.socket.write('before');
  await client.until('before');

  proxy.blackhole();
  client.socket.write('during');
  using late = await Client.connect(proxy.endpoint);
  late.socket.write('late');
  await someTurns();
  t.deepEqual(server.heard, ['before']);
  t.is(client.received, 'before');
  t.false(client.socket.destroyed || late.socket.destroyed);

  proxy.heal();
  await Promise.all([client.until('during'), late.until('late')]);
  t.is(client.received, 'beforeduring');
});

test('with responses dropped, requests are carried out and nothing comes back', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  proxy.dropResponses();
  client.socket.write('write');
  await until(() => server.heard.length > 0);
  await someTurns();
  t.is(client.received, '');
  proxy.heal();
  await client.until('write');
  t.pass();
});

test('with requests dropped, nothing reaches the server until the healing', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  client.socket.write('one');
  await client.until('one');
  proxy.dropRequests();
  client.socket.write('two');
  await someTurns();
  t.deepEqual(server.heard, ['one']);
  proxy.heal();
  await client.until('two');
  t.pass();
});

test('a cut resets what is open and refuses what comes, until the healing', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  client.socket.write('hello');
  await client.until('hello');

  const errors: (string | undefined)[] = [];
  client.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
  proxy.cut();
  await until(() => client.socket.destroyed);
  t.deepEqual(errors, ['ECONNRESET']);

  const refused = connect(Number(new URL(proxy.endpoint).port), '127.0.0.1');
  refused.on('error', () => undefined);
  await until(() => refused.destroyed);
  t.deepEqual(server.heard, ['hello']);

  proxy.heal();
  using again = await Client.connect(proxy.endpoint);
  again.socket.write('again');
  await again.until('again');
  await until(() => proxy.connections === 1);
  t.is(proxy.connections, 1);
});

test('a delay keeps the order and takes its time', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  proxy.delay(40);
  const startedAt = performance.now();
  client.socket.write('slow');
  await until(() => server.heard.length > 0);
  proxy.delay(0);
  client.socket.write('fast');
  await client.until('slowfast');
  t.true(performance.now() - startedAt >= 40);
  t.throws(() => proxy.delay(Number.NaN), { instanceOf: RangeError });
});

test('more than the buffers hold passes whole, through a blackhole in the middle', async (t) => {
  await using server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  const size = 8 * 1024 * 1024;
  client.socket.write(Buffer.alloc(size, 'x'));
  await until(() => server.heard.length > 0);
  proxy.blackhole();
  await someTurns();
  proxy.heal();
  await until(() => client.received.length === size);
  t.is(server.heard.join('').length, size);
});

test('the end of the server is seen from before a blackhole only after the healing', async (t) => {
  const server = await EchoServer.start();
  await using proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  client.socket.write('hello');
  await client.until('hello');
  proxy.blackhole();
  await server[Symbol.asyncDispose]();
  await someTurns();
  t.false(client.socket.destroyed || client.socket.readableEnded);
  proxy.heal();
  await until(() => client.socket.readableEnded || client.socket.destroyed);
  t.pass();
});

test('stopping closes everything, twice as well as once', async (t) => {
  await using server = await EchoServer.start();
  const proxy = await FaultProxy.start(server.endpoint);
  using client = await Client.connect(proxy.endpoint);
  await proxy.stop();
  await proxy.stop();
  await until(() => client.socket.destroyed);
  t.is(proxy.connections, 0);
});

test('an endpoint that is no URL is refused by name', async (t) => {
  await t.throwsAsync(FaultProxy.start('127.0.0.1:2379'), { instanceOf: TypeError, message: /"127\.0\.0\.1:2379"/ });
});
