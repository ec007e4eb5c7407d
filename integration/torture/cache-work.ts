import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../../lib/index.ts';
import { machineMs } from '../election/machine-clock.ts';
import { upTo, type Client } from './exclusive-work.ts';

export const CACHE = 'routes/';

/** How often what a reader has is proved to be the store's. */
export const FRESHNESS_MS = 500;

const KEYS = 6;
const WRITE_EVERY_MS = 400;
const SERVE_EVERY_MS = 50;
const READ_EVERY_MS = 1_000;
/** One in so many writes deletes. */
const DELETES = 8;

/** Writes values that nobody else writes, follows the changes, and reads from memory and by proof. */
export async function cacheWork(client: Client): Promise<void> {
  const cache = client.coordinator.cache(CACHE, { freshnessMs: FRESHNESS_MS });
  await Promise.all([follow(cache, client), write(cache, client), serve(cache, client), read(cache, client)]);
}

async function follow(cache: Cache, { recorder }: Client): Promise<void> {
  for await (const change of cache.watch()) {
    recorder.write({
      kind: 'change',
      workload: 'cache',
      key: change.key,
      ...(change.type === 'put' ? { value: change.value } : {}),
      revision: change.revision,
      resynced: change.resynced === true,
      at: machineMs(),
    });
  }
}

async function write(cache: Cache, { coordinator, recorder, deadlineMs: limitMs }: Client): Promise<never> {
  for (let count = 1; ; count += 1) {
    const key = anyKey();
    if (count % DELETES === 0) {
      await recorder.call({ workload: 'cache', what: 'delete', limitMs, key }, () => cache.delete(key));
    } else {
      const value = `${coordinator.instanceId}/${count}`;
      const about = { workload: 'cache', what: 'put', limitMs, key, value } as const;
      const written = await recorder.call(about, () => cache.put(key, value));
      if ('result' in written) note(cache, recorder, key, value);
    }
    await sleep(upTo(WRITE_EVERY_MS));
  }
}

async function serve(cache: Cache, { recorder }: Client): Promise<never> {
  for (;;) {
    note(cache, recorder, anyKey());
    await sleep(upTo(SERVE_EVERY_MS * 2));
  }
}

function note(cache: Cache, recorder: Client['recorder'], key: string, afterWrite?: string): void {
  const at = machineMs();
  const entry = cache.get(key);
  if (entry === undefined) return;
  const { value, revision } = entry;
  /* It was never proved: there is no infinity in JSON. */
  const ageMs = Math.min(entry.ageMs, Number.MAX_VALUE);
  const own = afterWrite === undefined ? {} : { afterWrite };
  recorder.write({ kind: 'served', workload: 'cache', key, value, revision, ageMs, ...own, at });
}

async function read(cache: Cache, { recorder, deadlineMs: limitMs }: Client): Promise<never> {
  for (;;) {
    const key = anyKey();
    await recorder.call(
      { workload: 'cache', what: 'read', limitMs, key },
      () => cache.read(key, { consistency: 'linearizable' }),
      (entry) => (entry === undefined ? {} : { revision: entry.revision }),
    );
    await sleep(upTo(READ_EVERY_MS * 2));
  }
}

function anyKey(): string {
  return `k${Math.floor(upTo(KEYS))}`;
}
