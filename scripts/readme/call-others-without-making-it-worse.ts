import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/* The first answer is lost: the connection breaks, and what was asked for may have been done. */
const keys: unknown[] = [];
const server = createServer((request, response) => {
  keys.push(request.headers['idempotency-key']);
  if (keys.length === 1) request.socket.destroy();
  else response.end('paid');
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// The snippet.

assert.equal(keys.length, 2);
assert.ok(typeof keys[0] === 'string' && keys[0] !== '');
assert.equal(keys[1], keys[0]);
const { calls, succeeded, attempts } = payments.stats();
assert.deepEqual({ calls, succeeded, attempts }, { calls: 1, succeeded: 1, attempts: 2 });
server.closeAllConnections();
server.close();
