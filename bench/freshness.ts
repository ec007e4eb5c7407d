/**
 * What it costs etcd that every reader knows how old its answers are: calls per prefix and process, counted at the server. Readers of one
 * prefix share its proofs, so their number must not show. A watch costs nothing while nothing happens.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';

export interface FreshnessOptions {
  /** For how many intervals it is watched. */
  readonly intervals: number;
}

/** Short, so that there is something to count. The number of calls per interval does not depend on its length. */
const FRESHNESS_MS = 250;

const PREFIXES = 20;
const READERS = 50;

export async function freshness(etcd: EtcdServer, { intervals }: FreshnessOptions): Promise<readonly Finding[]> {
  /* A long TTL, so that no renewal and no audit falls into the time that is counted. */
  await using coordinator = createCoordinator({
    endpoints: etcd.endpoint,
    namespace: 'bench-freshness',
    session: { ttlMs: 600_000 },
  });
  const options = { freshnessMs: FRESHNESS_MS };
  const caches = Array.from({ length: PREFIXES * READERS }, (_, index) =>
    coordinator.cache(`prefix-${index % PREFIXES}/`, options),
  );
  await Promise.all(caches.map((cache) => cache.ready({ timeoutMs: 30_000 })));
  await sleep(2 * FRESHNESS_MS);

  const before = await etcd.startedRpcs();
  const startedAt = performance.now();
  await sleep(intervals * FRESHNESS_MS);
  const passed = (performance.now() - startedAt) / FRESHNESS_MS;
  const after = await etcd.startedRpcs();
  const calls = [...after].reduce((sum, [method, count]) => sum + count - (before.get(method) ?? 0), 0);
  return [
    {
      what: `freshness of ${PREFIXES} prefixes with ${READERS} readers each: calls per prefix and freshnessMs`,
      measured: calls / PREFIXES / passed,
      target: { atMost: 1.1, why: 'one, and what jitter adds' },
    },
  ];
}
