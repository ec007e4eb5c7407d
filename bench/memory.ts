/**
 * What stays on the heap, after the garbage is collected, for each cached key over the bytes of key and value, and for each watcher that
 * waits for a change; and how long the first list of 10,000 keys keeps the process from anything else. Bytes do not depend on the hour, so
 * they are shown as they are.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Etcd3 } from 'etcd3';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator, type Cache, type Coordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { heap } from './heap.ts';
import { spreadOf } from './rounds.ts';
import { seed, seedKeys } from './seed.ts';

export interface MemoryOptions {
  readonly rounds: number;
}

const KEYS = 10_000;
const WATCHERS = 1_000;
const VALUE = 'http://10.0.0.1:8080';

export async function memory(etcd: EtcdServer, { rounds }: MemoryOptions): Promise<readonly Finding[]> {
  const raw = new Etcd3({ hosts: etcd.endpoint });
  await using coordinator = createCoordinator({ endpoints: etcd.endpoint, namespace: 'bench-memory' });
  try {
    const keys = seedKeys(KEYS);
    await seed(raw, 'bench-memory/cache/users/', keys, (key) => `${VALUE}/${key}`);
    const payload = keys.reduce((sum, key) => sum + key.length + VALUE.length + 1 + key.length, 0);
    /* Once for nothing: what is made with the first use of anything is no key's. */
    await measure(coordinator, payload);
    const results = [];
    for (let round = 0; round < rounds; round += 1) results.push(await measure(coordinator, payload));
    return [
      {
        what: 'heap of a cached key of 10,000, over key and value',
        measured: spreadOf(results, ({ perKey }) => perKey),
        unit: 'bytes',
        target: { atMost: 300 },
      },
      {
        what: 'heap of a watcher of 1,000 that waits',
        measured: spreadOf(results, ({ perWatcher }) => perWatcher),
        unit: 'bytes',
        target: { atMost: 1_024 },
      },
      {
        what: 'longest stall of the event loop while 10,000 keys are listed: of 20 ms',
        measured: spreadOf(results, ({ stallMs }) => stallMs / 20),
        target: { atMost: 1 },
      },
    ];
  } finally {
    raw.close();
  }
}

async function measure(
  coordinator: Coordinator,
  payload: number,
): Promise<{ readonly perKey: number; readonly perWatcher: number; readonly stallMs: number }> {
  const empty = await heap();
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const cache = coordinator.cache('users/');
  await cache.ready({ timeoutMs: 30_000 });
  delays.disable();
  const full = await heap();
  if (cache.stats().entries !== KEYS) throw new Error(`Expected ${KEYS} keys, got ${cache.stats().entries}`);
  const perWatcher = await measureWatchers(cache);
  await cache.close();
  return { perKey: (full - empty - payload) / KEYS, perWatcher, stallMs: delays.max / 1e6 };
}

/** Each watcher with one read that waits, as a `for await` has it. The reader's own loop is not ours to count. */
async function measureWatchers(cache: Cache): Promise<number> {
  const watchers: AsyncIterableIterator<unknown>[] = [];
  const reads: Promise<unknown>[] = [];
  const before = await heap();
  for (let index = 0; index < WATCHERS; index += 1) {
    const watcher = cache.watch();
    watchers.push(watcher);
    reads.push(watcher.next());
  }
  const after = await heap();
  for (const watcher of watchers) await watcher.return?.();
  await Promise.all(reads);
  return (after - before) / WATCHERS;
}
