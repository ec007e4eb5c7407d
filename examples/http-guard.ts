/**
 * A service that refuses late writes over HTTP, and workers that write to it under a lock. The service flickers: it answers every other
 * request with 503, so the workers call it through a policy.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/http-guard.js
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createCoordinator } from 'holdfast';
import { fencingHeaders, httpGuard } from 'holdfast/guards/http';
import { memoryGuard } from 'holdfast/guards/memory';
import { createPolicy } from 'holdfast/resilience';

/* The service. What it keeps lives and dies with its process, so a guard in memory is enough. */
let price = 'unset';
let requests = 0;
const fence = httpGuard(memoryGuard(), { resource: 'price' });
const server = createServer((request: IncomingMessage, response) => {
  requests += 1;
  if (requests % 2 === 1) {
    response.writeHead(503, { 'Retry-After': '0' }).end();
    return;
  }
  fence(request, response, () => {
    void text(request).then((body) => {
      price = body;
      response.end();
    });
  });
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/price`;

/* The workers. `fetch` resolves whatever the status is, so the work makes an error of it, and `classify` says what it means. */
class Answer extends Error {
  readonly status: number;
  readonly problem: unknown;

  constructor(status: number, problem: unknown) {
    super(`the service answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

const prices = createPolicy({
  name: 'prices',
  timeoutMs: 1_000,
  retry: { maxAttempts: 4, baseDelayMs: 20 },
  breaker: {},
  bulkhead: { limit: 16, queue: 64 },
  classify: (error) => {
    if (!(error instanceof Answer)) return undefined;
    /* This service says 503 only before it has begun. */
    if (error.status === 503 || error.status === 429) return 'transient';
    return error.status < 500 ? 'permanent' : 'unknown';
  },
});

async function write(value: string, held: { readonly token: bigint; readonly signal?: AbortSignal }): Promise<string> {
  try {
    await prices.execute(
      async ({ signal, idempotencyKey }) => {
        const headers = { ...fencingHeaders(held), 'Idempotency-Key': idempotencyKey };
        const response = await fetch(url, { method: 'PUT', body: value, headers, signal });
        if (!response.ok) throw new Answer(response.status, await response.json().catch(() => undefined));
      },
      /* A PUT of the whole value under one token: a repeat changes nothing. */
      { signal: held.signal, idempotent: true },
    );
    return `wrote ${value} under token ${held.token}`;
  } catch (error) {
    if (error instanceof Answer && error.status === 409) return `refused: ${JSON.stringify(error.problem)}`;
    throw error;
  }
}

await using coordinator = createCoordinator({ namespace: 'example' });
const lock = coordinator.lock('price');

const first = await lock.acquire({ timeoutMs: 5_000 });
console.log(`first: ${await write('10.00', first)}`);
/* The first worker sent another write, which the network holds back. Meanwhile the lock goes to the second one. */
await first.release();
const second = await lock.acquire({ timeoutMs: 5_000 });
console.log(`second: ${await write('12.50', second)}`);
/* As it left, with the token of that time: no check on the sender's side can call it back. */
console.log(`first, late: ${await write('10.50', { token: first.token })}`);
await second.release();
console.log(`the price is ${price}; ${JSON.stringify(prices.stats())}`);
server.close();
