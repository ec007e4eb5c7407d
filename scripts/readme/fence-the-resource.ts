import assert from 'node:assert/strict';
import { createCoordinator, StaleTokenError } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';
import { Pool } from 'pg';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
await pool.query('CREATE TABLE invoices (id int PRIMARY KEY, total int NOT NULL)');
await pool.query('INSERT INTO invoices VALUES (42, 100)');
const paused = await coordinator.lock('invoice:42').acquire();
await paused.release();

// The snippet.

const { rows: invoices } = await pool.query('SELECT total FROM invoices WHERE id = 42');
assert.deepEqual(invoices, [{ total: 110 }]);
const { rows: fences } = await pool.query('SELECT * FROM holdfast_fence');
assert.equal(fences.length, 1);
assert.ok(BigInt(fences[0].token) > paused.token);
const late = guard.transaction(pool, 'invoice:42', paused.token, (tx) => tx.query('UPDATE invoices SET total = 0'));
await assert.rejects(late, StaleTokenError);
await pool.end();
