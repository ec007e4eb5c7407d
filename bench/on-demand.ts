/**
 * What single keys cost that are kept on demand: the heap of each, over the bytes of key and value, and the calls that prove all of them
 * fresh. Each has a watch and proofs of its own, so this is many times what a key costs that is kept with its whole prefix; the proofs
 * travel together.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator, type Coordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { heap } from './heap.ts';
import { spreadOf } from './rounds.ts';
import { seed, seedKeys } from './seed.ts';

export interface OnDemandOptions {
  readonly rounds: number;
  /** For how long the calls are counted, in milliseconds. */
  readonly watchedMs: number;
}

const KEYS = 10_000;
const VALUE = 'http://10.0.0.1:8080';

interface Round {
  readonly perKey: number;
  readonly callsPerSecond: number;
}

export async function onDemand(etcd: EtcdServer, options: OnDemandOptions): Promise<readonly Finding[]> {
  const raw = new Etcd3({ hosts: etcd.endpoint });
  /* A long TTL, so that no renewal and no audit falls into the time that is counted. */
  await using coordinator = createCoordinator({
    endpoints: etcd.endpoint,
    namespace: 'bench-on-demand',
    session: { ttlMs: 600_000 },
    request: { deadlineMs: 60_000 },
  });
  try {
    const keys = seedKeys(KEYS);
    await seed(raw, 'bench-on-demand/cache/users/', keys, (key) => `${VALUE}/${key}`);
    const results: Round[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      results.push(await measure(etcd, coordinator, keys, options));
    }
    return [
      {
        what: 'heap of a key kept on demand, of 10,000, over key and value',
        measured: spreadOf(results, ({ perKey }) => perKey),
        unit: 'bytes',
      },
      {
        what: 'freshness of 10,000 keys kept on demand, at 5 s: calls a second',
        measured: spreadOf(results, ({ callsPerSecond }) => callsPerSecond),
        target: { atMost: 25, why: 'a hundred keys to a call, and what does not fill one' },
      },
    ];
  } finally {
    raw.close();
  }
}

async function measure(
  etcd: EtcdServer,
  coordinator: Coordinator,
  keys: readonly string[],
  { watchedMs }: OnDemandOptions,
): Promise<Round> {
  const payload = keys.reduce((sum, key) => sum + key.length + VALUE.length + 1 + key.length, 0);
  const cache = coordinator.cache('users/', { keys: 'on-demand', max: KEYS });
  /* What is made with the first use is no key's. */
  await cache.read('none');
  const empty = await heap();
  await Promise.all(keys.map((key) => cache.read(key)));
  /* Each is watched by then, and was proved at least once: the proofs have found their places in the interval. */
  await sleep(12_000);

  const before = await etcd.startedRpcs();
  const startedAt = performance.now();
  await sleep(watchedMs);
  const after = await etcd.startedRpcs();
  const passedMs = performance.now() - startedAt;
  const calls = [...after].reduce((sum, [method, count]) => sum + count - (before.get(method) ?? 0), 0);
  const full = await heap();
  await cache.close();
  return { perKey: (full - empty - payload) / keys.length, callsPerSecond: calls / (passedMs / 1_000) };
}
