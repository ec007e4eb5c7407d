import { sleep } from '../../runtime/clock.ts';
import type { JobRecord } from '../../schedule/record.ts';
import type { Stage } from './stage.ts';
import { JOB } from './worker.ts';

/** So many runs are looked at before the leader is killed, and under the next one. */
const RUNS = 2;

const LOOK_MS = 50;

export async function leaderIsKilled(stage: Stage): Promise<void> {
  const { journal, crew } = stage;
  journal.add({ type: 'act', act: 5, title: 'The leader of a job dies, in the middle of a run' });
  crew.tellAll({ do: 'schedule' });
  let run = await journal.first('ran', journal.end);
  for (let runs = 1; runs < RUNS; runs += 1) run = await journal.first('ran', journal.end);

  const { worker, tick } = run;
  const killedAt = journal.end;
  journal.add({ type: 'killed', worker, pid: crew.pidOf(worker), tick });
  crew.kill(worker);
  await journal.first('lease-ended', killedAt, (ended) => ended.worker === worker);
  let from = killedAt;
  for (let runs = 0; runs < RUNS; runs += 1) {
    await journal.first('ran', from, (ran) => ran.worker !== worker);
    from = journal.end;
  }
  journal.add({ type: 'history', records: await lastRecords(stage) });
}

/** Lets nobody start the job any more, waits for the run that goes on, and resolves to what etcd has on record, the oldest first. */
async function lastRecords({ clock, operator, signal }: Stage): Promise<readonly JobRecord[]> {
  const job = operator.jobControls(JOB);
  await job.pause({ signal });
  for (;;) {
    const records = await job.history({ limit: 100, signal });
    if (records.every(({ state }) => state !== 'started')) return records.toReversed();
    await sleep(clock, LOOK_MS, signal);
  }
}
