import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { putting, verdictOf } from './probe.ts';

// What a server of HTTP/2 can do to a unary call, etcd's own among it. Each answer is made by hand.

/** An answer to `range` with nothing in it but a header of revision 7. */
const EMPTY_RANGE = Buffer.from([0x0a, 0x02, 0x18, 0x07]);
const OK = { 'grpc-status': '0' };

function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Answers a call as gRPC does: headers, the given pieces, and these trailers. */
function answer(stream: ServerHttp2Stream, pieces: readonly Buffer[], trailers: Record<string, string>): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const piece of pieces) stream.write(piece);
  stream.end();
}

class Scripted implements AsyncDisposable {
  readonly store: Store;
  readonly sessions = new Set<ServerHttp2Session>();
  connections = 0;
  readonly #server: Http2Server;

  private constructor(server: Http2Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.store = createEtcdStore(systemRuntime(), { endpoints: [`http://127.0.0.1:${port}`] });
    server.on('session', (session) => {
      this.connections += 1;
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
  }

  /** `respond` is given each stream once its request has come whole, and how many there were before. */
  static async start(respond: (stream: ServerHttp2Stream, index: number, headers: object) => void): Promise<Scripted> {
    const server = createServer();
    let count = 0;
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      stream.resume();
      stream.once('end', () => respond(stream, count++, headers));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Scripted(server);
  }

  range(timeoutMs = 10_000): ReturnType<Store['range']> {
    return this.store.range({ key: 'a' }, { timeoutMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    for (const session of this.sessions) session.destroy();
    this.#server.close();
  }
}

test('an answer may come in any pieces', async (t) => {
  const whole = frame(EMPTY_RANGE);
  await using server = await Scripted.start((stream) =>
    answer(
      stream,
      [...whole].map((byte) => Buffer.from([byte])),
      OK,
    ),
  );
  const { revision, entries } = await server.range();
  t.is(revision, 7n);
  t.deepEqual(entries, []);
});

test('a request says what it is, how long it may take, and that it wants no silence from a member without a leader', async (t) => {
  let seen: Record<string, unknown> = {};
  await using server = await Scripted.start((stream, _, headers) => {
    seen = { ...headers };
    answer(stream, [frame(EMPTY_RANGE)], OK);
  });
  await server.range(10_000);
  t.like(seen, { ':method': 'POST', ':path': '/etcdserverpb.KV/Range', te: 'trailers', hasleader: 'true' });
  const [, leftMs] = /^(\d+)m$/.exec(String(seen['grpc-timeout'])) ?? [];
  t.true(Number(leftMs) > 0 && Number(leftMs) <= 10_000, leftMs);
});

const failures: readonly (readonly [
  what: string,
  respond: (stream: ServerHttp2Stream) => void,
  read: string,
  write: string,
  message: RegExp,
])[] = [
  [
    'a status in the headers, without an answer',
    (stream) =>
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': '7',
          'grpc-message': 'etcdserver%3A%20permission denied',
        },
        { endStream: true },
      ),
    'denied permanent',
    'denied permanent',
    /etcdserver: permission denied/,
  ],
  [
    'a status in the trailers, behind an answer',
    (stream) => answer(stream, [frame(EMPTY_RANGE)], { 'grpc-status': '14', 'grpc-message': 'etcdserver: no leader' }),
    'unreachable transient',
    'unreachable transient',
    /no leader/,
  ],
  [
    'an answer that is cut off',
    (stream) => answer(stream, [frame(EMPTY_RANGE).subarray(0, 7)], OK),
    'internal transient',
    'internal unknown',
    /7 bytes/,
  ],
  [
    'an answer that is no message',
    (stream) => answer(stream, [frame(Buffer.from([0x0a, 0x05]))], OK),
    'internal transient',
    'internal unknown',
    /cannot be read/,
  ],
  [
    'no answer and no status',
    (stream) => answer(stream, [], {}),
    'unreachable transient',
    'unreachable unknown',
    /without/,
  ],
  [
    'a proxy’s page',
    (stream) => {
      stream.respond({ ':status': 502, 'content-type': 'text/html' });
      stream.end('<h1>Bad gateway</h1>');
    },
    'unreachable transient',
    'unreachable unknown',
    /HTTP status 502/,
  ],
  ['a reset', (stream) => stream.close(2), 'unreachable transient', 'unreachable unknown', /./],
  [
    'a message that is percent-encoded badly',
    (stream) => answer(stream, [], { 'grpc-status': '2', 'grpc-message': '%zz' }),
    'internal transient',
    'internal unknown',
    /%zz/,
  ],
];
for (const [what, respond, read, write, message] of failures) {
  test(`${what}: a read failed, and of a write nobody claims more than is known`, async (t) => {
    await using server = await Scripted.start(respond);
    const reading = await verdictOf(server.range(5_000));
    t.is(reading.result, read);
    t.regex(reading.error?.message ?? '', message);
    t.is((await verdictOf(server.store.transact(putting('a'), { timeoutMs: 5_000 }))).result, write);
  });
}

test('a server that says goodbye gets no new calls on that connection, and those under way end well', async (t) => {
  const waiting: (() => void)[] = [];
  await using server = await Scripted.start((stream, index) => {
    if (index > 0) answer(stream, [frame(EMPTY_RANGE)], OK);
    else waiting.push(() => answer(stream, [frame(EMPTY_RANGE)], OK));
  });
  const early = server.range();
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (const session of server.sessions) session.goaway(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is((await server.range()).revision, 7n);
  t.is(server.connections, 2);
  for (const go of waiting) go();
  t.is((await early).revision, 7n);
});

test('a connection that was cut is made anew by the next call', async (t) => {
  await using server = await Scripted.start((stream) => answer(stream, [frame(EMPTY_RANGE)], OK));
  await server.range();
  for (const session of server.sessions) session.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is((await server.range()).revision, 7n);
  t.is(server.connections, 2);
});

test('a call that is cancelled is taken back at the server', async (t) => {
  let settle: (code: number) => void = () => {};
  const closedWith = new Promise<number>((resolve) => {
    settle = resolve;
  });
  const stop = new AbortController();
  await using server = await Scripted.start((stream) => {
    stream.once('close', () => settle(stream.rstCode));
    stop.abort();
  });
  const cancelled = server.store.range({ key: 'a' }, { timeoutMs: 60_000, signal: stop.signal });
  t.is((await verdictOf(cancelled)).result, 'cancelled transient');
  t.is(await closedWith, 8);
});
