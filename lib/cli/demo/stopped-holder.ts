import { sleep } from '../../runtime/clock.ts';
import type { Of } from './observation.ts';
import { each, type Stage } from './stage.ts';

/** So many writes are looked at before trouble begins, and after a takeover. */
const CALM_WRITES = 6;
const WRITES_SINCE = 2;

/** What was sent before a process was stopped has arrived by then, in milliseconds. */
const ARRIVAL_MS = 50;

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

/** Stops a worker whose write is on its way; if it was faster it goes on, and the next one is tried. */
async function stopHolder({ clock, journal, crew, signal }: Stage): Promise<Of<'writes'>> {
  for (;;) {
    const at = journal.end;
    const writes = await journal.first('writes', at);
    const { worker, token } = writes;
    crew.stop(worker);
    await sleep(clock, ARRIVAL_MS, signal);
    const isThere = journal.observations.slice(at).some((each) => each.type === 'wrote' && each.token === token);
    if (!isThere) {
      journal.add({ type: 'stopped', worker, pid: crew.pidOf(worker), token });
      return writes;
    }
    crew.wake(worker);
  }
}
