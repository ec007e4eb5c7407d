/**
 * A process of its own that is stopped with SIGSTOP while its guarded transaction is open.
 * Arguments: the connection string, `idle` or `reading`, `set transaction_timeout` or an empty text. Prints a line when it is in its
 * transaction and one with the outcome.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { postgresGuard } from '../../lib/guards/postgres.ts';

const [connectionString, mode, withoutTransactionTimeout] = process.argv.slice(2);
const pool = new Pool({ connectionString });
/* To connect takes a while on a busy machine, which is not what the holder's time is for. */
await pool.query('select 1');
const validUntil = performance.now() + 2_500;

const outcome = await postgresGuard()
  .transaction(
    pool,
    'paused',
    1n,
    async (tx, { signal }) => {
      if (withoutTransactionTimeout === 'before 17') await tx.query('set local transaction_timeout = 0');
      await tx.query("update paused set writer = 'older'");
      process.stdout.write('open\n');
      if (mode === 'reading') await tx.query("select repeat('x', 1000) from generate_series(1, 1000000)");
      else await sleep(3_600_000, undefined, { signal });
    },
    { held: { remainingMs: () => validUntil - performance.now() } },
  )
  .then(
    () => 'committed',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
process.stdout.write(`${outcome}\n`);
process.exit();
