import { existsSync } from 'node:fs';
import test from 'ava';
import { Client } from 'pg';
import { PostgresServer } from './postgres-server.ts';

test('a PostgreSQL answers, keeps its data over a kill and a restart, and is gone when disposed', async (t) => {
  const server = await PostgresServer.start();
  await query(server, 'CREATE TABLE kept (answer text)');
  await query(server, "INSERT INTO kept VALUES ('yes')");

  await server.restart({ signal: 'SIGKILL' });
  t.deepEqual(await query(server, 'SELECT answer FROM kept'), [{ answer: 'yes' }]);

  const { pid, dataDir } = server;
  await server[Symbol.asyncDispose]();
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  t.false(existsSync(dataDir));
});

async function query(server: PostgresServer, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.connectionString });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
