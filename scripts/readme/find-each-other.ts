import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';
import { Pool } from 'pg';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
await using another = createCoordinator({ endpoints: etcd.endpoint });
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });

const serving = createServer((request, response) => response.end(`${request.url} is done`));
const here = await listening(serving);
const dead = createServer();
const gone = await listening(dead);
dead.close();
/* Two are there before: one that answers, and one whose process has just died. */
await another.registry('payments').register({ address: here }).registered();
await another.registry('payments').register({ address: gone }).registered();
/* 10.0.0.7 is this machine. */
const fetch = (url: string) => globalThis.fetch(url.replace('http://10.0.0.7:8080', here));

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// The snippet.

assert.equal(await answer.text(), '/charge is done');
for await (const { members } of payments.watch()) {
  if (members.some(({ address }) => address === 'http://10.0.0.7:8080')) break;
}
await coordinator.close();
serving.closeAllConnections();
serving.close();
await pool.end();
