import { setTimeout as sleep } from 'node:timers/promises';
import { machineMs } from '../election/machine-clock.ts';
import { upTo, type Client } from './exclusive-work.ts';
import { partitions } from './history.ts';

export const PARTITIONS = 'orders';
const SHORTEST_TERM_MS = 2_000;
const LONGEST_TERM_MS = 15_000;
const AWAY_MS = 500;
/** So long at most, work that is told to stop goes on. */
const WIND_UP_MS = 200;

/** Owns its share of the partitions for a while, goes in an orderly way, and comes back. */
export async function partitionWork({ coordinator, recorder, deadlineMs }: Client): Promise<never> {
  const orders = coordinator.partitions(PARTITIONS, { count: partitions.length });
  for (;;) {
    const term = new AbortController();
    const begunAt = machineMs();
    /* By partition: since when it can have been asked for. */
    const asked = new Map<number, number>();
    const ended = orders
      .own(
        async (partition, held) => {
          recorder.granted(`partition ${partition}`, held, asked.get(partition) ?? begunAt);
          await sleep(LONGEST_TERM_MS * 2, undefined, { signal: held.signal }).catch(() => {});
          await sleep(upTo(WIND_UP_MS));
          recorder.sample(`partition ${partition}`, held);
          asked.set(partition, machineMs());
        },
        { signal: term.signal },
      )
      .catch((error: unknown) => error);
    const termMs = SHORTEST_TERM_MS + upTo(LONGEST_TERM_MS - SHORTEST_TERM_MS);
    await Promise.race([ended, sleep(termMs)]);
    /* The release of the last partition, and the taking back of the registration. */
    const limitMs = WIND_UP_MS + 2 * deadlineMs;
    const over = new Error('The term is over.');
    await recorder.call({ workload: 'partition', what: 'stop', limitMs }, async () => {
      term.abort(over);
      const reason = await ended;
      if (reason !== over) throw reason;
    });
    await sleep(upTo(AWAY_MS));
  }
}
