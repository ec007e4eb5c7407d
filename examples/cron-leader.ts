/**
 * A report for every second, written exactly once, by whichever process leads: while leaders go away in the middle of one.
 *
 * The schedule sees to it that at most one *start* is accepted for each tick and attempt. That the *effect* happens once is for the database
 * to see to, in one transaction: the token keeps an older start out once a newer one has been there, and the unique key of the tick tells a
 * second attempt that the first had done it.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 DATABASE_URL=postgres://… node dist/examples/cron-leader.js
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type Coordinator, type Tick } from 'holdfast';
import { postgresGuard } from 'holdfast/guards/postgres';
import { Pool } from 'pg';

const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
const guard = postgresGuard({ table: 'report_fence' });
await guard.migrate(pool);
await pool.query('DROP TABLE IF EXISTS report');
await pool.query(`CREATE TABLE report (
  job text, scheduled_for timestamptz, written_by text, token bigint, attempt integer,
  PRIMARY KEY (job, scheduled_for))`);

/** What a tick does. In production each process calls `join` once, with `'0 3 * * *'`. */
async function report(tick: Tick, instanceId: string): Promise<void> {
  /* Whatever takes time gets the signal: it aborts when the leadership is lost, the job is stopped, or the run takes too long. */
  await sleep(300, undefined, { signal: tick.signal });
  await guard.transaction(
    pool,
    tick.job,
    tick.token,
    async (tx) => {
      const { rowCount } = await tx.query('INSERT INTO report VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING', [
        tick.job,
        tick.scheduledFor,
        instanceId,
        tick.token,
        tick.attempt,
      ]);
      if (rowCount === 0)
        console.log(`${instanceId}: an earlier attempt had written ${tick.scheduledFor.toISOString()}`);
      /* Whatever else belongs to the tick, in the same transaction. */
    },
    { signal: tick.signal },
  );
}

function join(instanceId: string): Coordinator {
  const coordinator = createCoordinator({ namespace: 'example', instanceId, session: { ttlMs: 2_000 } });
  coordinator.schedule('report', '* * * * * *', (tick) => report(tick, instanceId), {
    missed: 'all',
    onLeaderLoss: 'retry',
    maxRunMs: 10_000,
  });
  return coordinator;
}

const processes = new Map(['one', 'two', 'three'].map((instanceId) => [instanceId, join(instanceId)]));

/* Twice, whoever leads goes away while it works: what it cuts off is started once more by the next leader. */
for (let round = 1; round <= 2; round += 1) {
  const writer = await writerOf(2);
  /* In the middle of the next one. */
  await sleep(850);
  console.log(`${writer} goes away`);
  await processes.get(writer)?.close();
  processes.delete(writer);
}
await writerOf(2);

await Promise.all([...processes.values()].map((coordinator) => coordinator.close()));

const { rows } = await pool.query<{ scheduled_for: Date; written_by: string; attempt: number }>(
  'SELECT scheduled_for, written_by, attempt FROM report ORDER BY scheduled_for',
);
for (const { scheduled_for, written_by, attempt } of rows) {
  console.log(`${scheduled_for.toISOString()} by ${written_by}${attempt > 1 ? `, attempt ${attempt}` : ''}`);
}
await pool.end();

const gaps = rows.filter(({ scheduled_for }, index) => {
  const before = rows[index - 1]?.scheduled_for.getTime();
  return before !== undefined && scheduled_for.getTime() - before !== 1_000;
});
if (gaps.length > 0) throw new Error(`Expected a report for every second, got ${gaps.length} gaps`);
console.log(
  `${rows.length} reports, one for every second, by ${new Set(rows.map(({ written_by }) => written_by)).size} processes`,
);

/** Waits for so many further reports, and tells who wrote the last one. */
async function writerOf(further: number): Promise<string> {
  const count = async (): Promise<{ count: number; writer: string }> => {
    const { rows } = await pool.query<{ written_by: string }>('SELECT written_by FROM report ORDER BY token');
    return { count: rows.length, writer: rows.at(-1)?.written_by ?? '' };
  };
  const enough = (await count()).count + further;
  for (;;) {
    const now = await count();
    if (now.count >= enough) return now.writer;
    await sleep(50);
  }
}
