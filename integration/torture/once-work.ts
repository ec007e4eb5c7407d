import { setTimeout as sleep } from 'node:timers/promises';
import { machineMs } from '../election/machine-clock.ts';
import { upTo, type Client } from './exclusive-work.ts';
import { onceKeys } from './history.ts';

const PAUSE_MS = 600;
const WAIT_MS = 5_000;
const WORK_MS = 400;
/** One work in so many fails. */
const FAILURES = 8;
/** One record in so many calls is taken back. */
const FORGETS = 6;
const SHORTEST_TTL_MS = 1_000;
const LONGEST_TTL_MS = 3_000;

/** Has work done once, of a few keys; each time that it is done it returns what no other does. Now and then takes a record back. */
export async function onceWork({ coordinator, recorder, deadlineMs }: Client, worker: number): Promise<never> {
  for (let count = 1; ; count += 1) {
    const key = onceKeys[Math.floor(upTo(onceKeys.length))] ?? '';
    if (upTo(FORGETS) < 1) await forget(key);
    else await once(key, `${coordinator.instanceId}/${worker}/${count}`);
    await sleep(upTo(PAUSE_MS));
  }

  async function once(key: string, value: string): Promise<void> {
    const since = machineMs();
    const ttlMs = SHORTEST_TTL_MS + upTo(LONGEST_TTL_MS - SHORTEST_TTL_MS);
    /* The wait, the work, the record, and the release. */
    const limitMs = WAIT_MS + WORK_MS + 2 * deadlineMs;
    await recorder.call(
      { workload: 'once', what: 'once', limitMs, key, value },
      () =>
        coordinator.once(
          key,
          async (turn) => {
            recorder.granted(`turn ${key}`, turn, since);
            await sleep(upTo(WORK_MS));
            recorder.sample(`turn ${key}`, turn);
            if (upTo(FAILURES) < 1) throw new Error('The work failed.');
            recorder.write({ kind: 'returned', key, token: turn.token, value, at: machineMs() });
            return value;
          },
          { ttlMs: Math.round(ttlMs), timeoutMs: WAIT_MS },
        ),
      (result) => ({ value: result }),
    );
  }

  async function forget(key: string): Promise<void> {
    await recorder.call({ workload: 'once', what: 'forget', limitMs: deadlineMs, key }, () =>
      coordinator.forgetOnce(key),
    );
  }
}
