import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import express from 'express';
import fastify from 'fastify';
import { Redis } from 'ioredis';
import { fencingHeaders, fencingToken, httpGuard, type TokenCheck } from '../../lib/guards/http.ts';
import { memoryGuard } from '../../lib/guards/memory.ts';
import { redisGuard } from '../../lib/guards/redis.ts';
import { RedisServer } from '../servers/redis-server.ts';

/** A service that stores what is put under `/invoices/<id>`, behind the guard. */
interface Service extends AsyncDisposable {
  readonly url: string;
  readonly stored: Map<string, string>;
}

type Start = (guard: TokenCheck) => Promise<Service>;

const startNode: Start = async (guard) => {
  const stored = new Map<string, string>();
  const invoiceOf = (request: { readonly url?: string | undefined }): string =>
    `invoice:${request.url?.split('/').at(-1)}`;
  const fence = httpGuard(guard, { resource: invoiceOf });
  const server = createServer((request, response) => {
    fence(request, response, () => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        stored.set(invoiceOf(request), `${body} under ${fencingToken(request)}`);
        response.end('stored');
      });
    });
  });
  return await listening(server, stored);
};

const startExpress: Start = async (guard) => {
  const stored = new Map<string, string>();
  const app = express();
  const fence = httpGuard(guard, { resource: (request: express.Request) => `invoice:${String(request.params['id'])}` });
  app.put('/invoices/:id', fence, express.text(), (request, response) => {
    stored.set(`invoice:${String(request.params['id'])}`, `${request.body as string} under ${fencingToken(request)}`);
    response.send('stored');
  });
  return await listening(createServer(app), stored);
};

const startFastify: Start = async (guard) => {
  const stored = new Map<string, string>();
  const app = fastify();
  const invoiceOf = ({ params }: { readonly params: unknown }): string =>
    `invoice:${(params as { readonly id: string }).id}`;
  app.addHook('onRequest', httpGuard(guard, { resource: invoiceOf }));
  app.put('/invoices/:id', (request, reply) => {
    stored.set(invoiceOf(request), `${request.body as string} under ${fencingToken(request)}`);
    void reply.send('stored');
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, stored, [Symbol.asyncDispose]: () => app.close() };
};

async function listening(server: Server, stored: Map<string, string>): Promise<Service> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function put({ url }: Service, headers: Record<string, string>, body = 'paid', id = '42'): Promise<Response> {
  return fetch(`${url}/invoices/${id}`, { method: 'PUT', body, headers: { 'Content-Type': 'text/plain', ...headers } });
}

async function refused(
  t: ExecutionContext,
  response: Response,
  problem: { readonly status: number; readonly type: string; readonly [member: string]: unknown },
): Promise<void> {
  t.is(response.status, problem.status);
  t.regex(response.headers.get('content-type') ?? '', /^application\/problem\+json(;|$)/);
  t.is(response.headers.get('cache-control'), 'no-store');
  t.like(await response.json(), { ...problem, type: `urn:holdfast:problem:${problem.type}` });
}

const services: readonly (readonly [string, Start])[] = [
  ['node:http', startNode],
  ['express', startExpress],
  ['fastify', startFastify],
];

for (const [name, start] of services) {
  test(`${name}: a request with a stale token changes nothing and is 409 with problem+json`, async (t) => {
    await using service = await start(memoryGuard());
    const [older, newer] = [{ token: 2n ** 53n }, { token: 2n ** 53n + 1n }];
    t.is(await (await put(service, fencingHeaders(older), 'by older')).text(), 'stored');
    t.is(await (await put(service, fencingHeaders(newer), 'by newer')).text(), 'stored');
    await refused(t, await put(service, fencingHeaders(older), 'late'), {
      status: 409,
      type: 'stale-token',
      resource: 'invoice:42',
      token: '9007199254740992',
      highest: '9007199254740993',
    });
    t.is(service.stored.get('invoice:42'), 'by newer under 9007199254740993');
    t.is((await put(service, fencingHeaders(older), 'another', '43')).status, 200);
  });

  test(`${name}: a missing token is 428, a malformed or doubled one 400, and neither is let through`, async (t) => {
    await using service = await start(memoryGuard());
    await refused(t, await put(service, {}), { status: 428, type: 'missing-token' });
    for (const text of ['', 'seven', '7, 8', '9223372036854775808']) {
      await refused(t, await put(service, { 'Fencing-Token': text }), { status: 400, type: 'malformed-token' });
    }
    const doubled = new Headers();
    doubled.append('Fencing-Token', '7');
    doubled.append('Fencing-Token', '8');
    const response = await fetch(`${service.url}/invoices/42`, { method: 'PUT', headers: doubled });
    await refused(t, response, { status: 400, type: 'malformed-token' });
    t.is(service.stored.size, 0);
  });

  test(`${name}: a guard that cannot be asked lets nothing through: 503`, async (t) => {
    await using service = await start({ check: () => Promise.reject(new Error('away')) });
    await refused(t, await put(service, fencingHeaders({ token: 7n })), { status: 503, type: 'unchecked-token' });
    t.is(service.stored.size, 0);
  });

  test(`${name}: a large body behind a refusal does not break the connection`, async (t) => {
    await using service = await start(memoryGuard());
    const body = 'x'.repeat(90_000);
    for (let round = 0; round < 3; round += 1)
      await refused(t, await put(service, {}, body), { status: 428, type: 'missing-token' });
    t.is((await put(service, fencingHeaders({ token: 7n }), body)).status, 200);
  });

  test.serial(`${name}: two instances with one Redis guard refuse together`, async (t) => {
    await using server = await RedisServer.start();
    const redis = new Redis(server.url);
    redis.on('error', () => undefined);
    try {
      await using one = await start(redisGuard(redis));
      await using two = await start(redisGuard(redis));
      t.is((await put(one, fencingHeaders({ token: 8n }))).status, 200);
      t.is((await put(two, fencingHeaders({ token: 7n }))).status, 409);
      t.is((await put(two, fencingHeaders({ token: 8n }))).status, 200);
    } finally {
      redis.disconnect();
    }
  });
}
