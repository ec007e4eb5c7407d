import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../lib/store/store.ts';
import { machineMs } from '../election/machine-clock.ts';
import { NAMESPACE } from './site.ts';

/** What stands on leases, and is gone with them. */
const ON_LEASES = [
  ...['registry', 'partition-member', 'partition', 'once', 'once-turn'],
  ...['session', 'lock', 'election', 'schedule', 'semaphore', 'semaphore-slot', 'rwlock'],
].map((kind) => `${NAMESPACE}/${kind}/`);

const CALL = { timeoutMs: 2_000 };
const POLL_MS = 100;

/** With no process left, waits until leases have ended. Resolves to the keys that still stand then. */
export async function leftovers(store: Store, withinMs: number): Promise<string[]> {
  const deadline = machineMs() + withinMs;
  for (;;) {
    const isLast = machineMs() > deadline;
    try {
      const keys = await standing(store);
      if (keys.length === 0 || isLast) return keys;
    } catch (error) {
      if (isLast) throw error;
    }
    await sleep(POLL_MS);
  }
}

async function standing(store: Store): Promise<string[]> {
  const answers = await Promise.all(ON_LEASES.map((prefix) => store.range({ prefix }, CALL)));
  return answers.flatMap(({ entries }) => entries.map(({ key }) => key));
}
