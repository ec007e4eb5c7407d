import { once } from 'node:events';
import { createServer, get, Server as HttpServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createPolicy } from '../../lib/resilience/index.ts';
import { verdictOf } from '../../lib/resilience/verdict.ts';

/* What Node's own clients throw, as they throw it: the verdicts of the unit tests are on errors that were made up. */

async function listening(t: ExecutionContext, server: Server): Promise<number> {
  t.teardown(() => server.close());
  if (server instanceof HttpServer) t.teardown(() => server.closeAllConnections());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A port of which nobody listens any more. */
async function closedPort(t: ExecutionContext): Promise<number> {
  const server = createTcpServer();
  const port = await listening(t, server);
  server.close();
  await once(server, 'close');
  return port;
}

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const getError = async (url: string): Promise<unknown> => {
  const [error] = (await once(get(url), 'error')) as unknown[];
  return error;
};

test('a refused connection is transient, by fetch and by node:http, by address and by name', async (t) => {
  const port = await closedPort(t);
  for (const host of ['127.0.0.1', 'localhost']) {
    t.is(verdictOf(await errorOf(fetch(`http://${host}:${port}/`))), 'transient');
    t.is(verdictOf(await getError(`http://${host}:${port}/`)), 'transient');
  }
});

test('a connection that is lost before the answer is unknown, since the request may have been done', async (t) => {
  for (const how of ['destroy', 'resetAndDestroy'] as const) {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket[how]());
    });
    const port = await listening(t, server);
    t.is(verdictOf(await errorOf(fetch(`http://127.0.0.1:${port}/`))), 'unknown');
    t.is(verdictOf(await getError(`http://127.0.0.1:${port}/`)), 'unknown');
  }
});

test('an order that was taken and not answered is sent once, and with its key twice', async (t) => {
  const taken: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    taken.push(request.headers['idempotency-key'] as string | undefined);
    if (taken.length % 2 === 1) request.socket.destroy();
    else response.end('done');
  });
  const port = await listening(t, server);
  const orders = createPolicy({ name: 'orders', retry: { maxAttempts: 3, baseDelayMs: 1 } });
  const order = async ({
    signal,
    idempotencyKey,
  }: {
    readonly signal: AbortSignal;
    readonly idempotencyKey: string;
  }): Promise<string> => {
    const headers = { 'Idempotency-Key': idempotencyKey };
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x', headers, signal });
    return await response.text();
  };
  t.like(await errorOf(orders.execute(order)), { code: 'OUTCOME_UNKNOWN' });
  t.is(taken.length, 1);
  taken.length = 0;
  t.is(await orders.execute(order, { idempotent: true }), 'done');
  t.is(taken.length, 2);
  t.is(taken[0], taken[1]);
});

test('an attempt that is given up ends the request at the other side, too', async (t) => {
  const caller = new AbortController();
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const server = createServer((_, response) => {
    response.on('close', end);
    caller.abort('enough');
  });
  const port = await listening(t, server);
  const policy = createPolicy({ name: 'slow', timeoutMs: 60_000 });
  const call = policy.execute(({ signal }) => fetch(`http://127.0.0.1:${port}/`, { signal }), {
    signal: caller.signal,
  });
  t.like(await errorOf(call), { code: 'OUTCOME_UNKNOWN', cause: 'enough' });
  await ended;
  t.is(policy.stats().running, 0);
});
