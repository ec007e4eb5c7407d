import type { Of } from './observation.ts';
import { each, type Stage } from './stage.ts';
import { WAY_MS } from './worker.ts';

/** So many writes are looked at before trouble begins, and after a takeover. */
const CALM_WRITES = 6;
const WRITES_SINCE = 2;

export async function contention({ journal, crew }: Stage): Promise<void> {
  journal.add({ type: 'act', act: 1, title: 'Two workers count under one lock' });
  crew.tellAll({ do: 'contend' });
  for (let from = journal.end, writes = 0; writes < CALM_WRITES; writes += 1) {
    await journal.first('wrote', from);
    from = journal.end;
  }
}

export async function holderStandsStill(stage: Stage): Promise<void> {
  const { journal, crew } = stage;
  journal.add({ type: 'act', act: 2, title: 'The holder stands still for longer than its lease, and does not know' });
  const { worker, token } = await stopHolder(stage);
  const stoppedAt = journal.end;
  await journal.first('lease-ended', stoppedAt, (ended) => ended.worker === worker);
  for (let from = stoppedAt, writes = 0; writes < WRITES_SINCE; writes += 1) {
    await journal.first('wrote', from);
    from = journal.end;
  }

  const wokenAt = journal.end;
  journal.add({ type: 'woken', worker });
  crew.wake(worker);
  await journal.first(['refused', 'wrote'], wokenAt, (answer) => answer.token === token);
  await journal.first('session', wokenAt, (session) => session.worker === worker);
  crew.tellAll({ do: 'rest' });
  await each(crew.names, (name) => journal.first('rests', wokenAt, (rests) => rests.worker === name));
}

/** Stops a worker whose write is on its way; if it can have arrived by then, the worker goes on, and the next one is tried. */
async function stopHolder({ journal, crew }: Stage): Promise<Of<'writes'>> {
  for (;;) {
    const writes = await journal.first('writes', journal.end);
    const { worker, token, atMs } = writes;
    crew.stop(worker);
    if (journal.nowMs < atMs + WAY_MS) {
      journal.add({ type: 'stopped', worker, pid: crew.pidOf(worker), token });
      return writes;
    }
    crew.wake(worker);
  }
}
