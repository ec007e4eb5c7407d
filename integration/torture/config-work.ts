import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../lib/index.ts';
import { machineMs } from '../election/machine-clock.ts';
import { FRESHNESS_MS } from './cache-work.ts';
import { upTo, type Client } from './exclusive-work.ts';

export const CONFIG = 'limits';

const WRITE_EVERY_MS = 1_000;
const SERVE_EVERY_MS = 100;

type Limits = Config<string, string>;

/** Sets and updates a config entry to values that nobody else writes, follows it, and reads it from memory. */
export async function configWork(client: Client): Promise<void> {
  const limits = client.coordinator.config<string>(CONFIG, { freshnessMs: FRESHNESS_MS });
  await Promise.all([follow(limits, client), write(limits, client), serve(limits, client)]);
}

async function follow(limits: Limits, { recorder }: Client): Promise<void> {
  for await (const entry of limits.watch()) {
    if (entry === undefined) continue;
    const { value, revision, resynced } = entry as typeof entry & { readonly resynced?: true };
    recorder.write({
      kind: 'change',
      workload: 'config',
      key: CONFIG,
      value,
      revision,
      resynced: resynced === true,
      at: machineMs(),
    });
  }
}

async function write(limits: Limits, { coordinator, recorder, deadlineMs: limitMs }: Client): Promise<never> {
  for (let count = 1; ; count += 1) {
    const value = `${coordinator.instanceId}/${count}`;
    if (count % 2 === 0) {
      const about = { workload: 'config', what: 'set', limitMs, value } as const;
      await recorder.call(about, () => limits.set(value));
    } else {
      const about = { workload: 'config', what: 'update', limitMs, value } as const;
      await recorder.call(about, () => limits.update(() => value));
    }
    await sleep(upTo(WRITE_EVERY_MS));
  }
}

async function serve(limits: Limits, { recorder }: Client): Promise<never> {
  for (;;) {
    const at = machineMs();
    const entry = known(limits);
    if (entry !== undefined) {
      const { value, revision } = entry;
      /* It was never proved: there is no infinity in JSON. */
      const ageMs = Math.min(entry.ageMs, Number.MAX_VALUE);
      recorder.write({ kind: 'served', workload: 'config', key: CONFIG, value, revision, ageMs, at });
    }
    await sleep(upTo(SERVE_EVERY_MS * 2));
  }
}

/** At the start of a process nothing is. */
function known(limits: Limits): ReturnType<Limits['get']> {
  try {
    return limits.get();
  } catch {
    return undefined;
  }
}
