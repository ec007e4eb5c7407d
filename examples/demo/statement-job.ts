/**
 * The scheduled job that all workers have, and one of them at a time leads. What etcd sees to is that no tick is started twice; what the
 * books see to, with `tick.token` and the key (job, tick), is that none is stated twice, although a start can be repeated.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator, Job, JobRecord, Tick } from 'holdfast';
import { inMs, untilTime } from './clock.ts';
import type { FromWorker } from './messages.ts';
import { HISTORY_LIMIT, MOST_ATTEMPTS, STATEMENT_JOB, type Start, type Statements } from './statement.ts';

/** How long a statement takes at least: long enough to be killed in it. */
const STATING_MS = 250;

export function scheduleStatements(
  coordinator: Coordinator,
  books: Statements,
  { worker, report }: { readonly worker: string; readonly report: (message: FromWorker) => unknown },
): Job {
  const state = async ({ scheduledFor, attempt, token, signal }: Tick): Promise<void> => {
    const start: Start = { worker, tick: scheduledFor.toISOString(), attempt, token };
    const writesAt = inMs(STATING_MS);
    report({ type: 'started', start, writesAt });
    const total = await books.addUp(token);
    await untilTime(writesAt, signal);
    const statement = { ...start, ...total };
    await books.state(statement);
    report({ type: 'stated', statement });
  };
  /* A statement of the past cannot be made, so of what was missed only the newest tick is started. A run that was cut off is repeated. */
  return coordinator.schedule(STATEMENT_JOB, '* * * * * *', state, {
    missed: 'last',
    onLeaderLoss: 'retry',
    maxAttempts: MOST_ATTEMPTS,
    maxRunMs: 10_000,
    historyLimit: HISTORY_LIMIT,
  });
}

/** Lets no process start the job any more, waits for a run that goes on, and resolves to what became of every tick. */
export async function endStatements(job: Job): Promise<readonly JobRecord[]> {
  await job.pause();
  for (;;) {
    const records = await job.history({ limit: HISTORY_LIMIT });
    if (records.every(({ state }) => state !== 'started')) return records;
    await sleep(50);
  }
}
