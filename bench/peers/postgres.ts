/** Advisory locks of PostgreSQL, which belong to a connection: each caller has its own. They wait in the server, and nothing is written. */
import { Client } from 'pg';
import { peerArguments, serve, type Caller } from './peer.ts';

const { endpoint } = peerArguments();
const clients: Client[] = [];

async function caller(): Promise<Caller> {
  const client = new Client({ connectionString: endpoint });
  clients.push(client);
  await client.connect();
  return {
    acquire: async (name) => {
      await client.query({ name: 'lock', text: 'SELECT pg_advisory_lock(hashtextextended($1, 0))', values: [name] });
      return () =>
        client.query({ name: 'unlock', text: 'SELECT pg_advisory_unlock(hashtextextended($1, 0))', values: [name] });
    },
  };
}

await serve({ caller, close: () => Promise.all(clients.map((client) => client.end())) });
