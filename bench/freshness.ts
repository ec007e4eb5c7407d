/**
 * What it costs etcd that every reader knows how old its answers are: calls per prefix and process, counted at the server. Readers of one
 * prefix share its proofs, so their number must not show. A watch costs nothing while nothing happens. And what one such call costs: etcd
 * looks through the whole prefix for what is newer, so its time grows with the keys there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import type { EtcdServer } from '../integration/servers/etcd-server.ts';
import { createCoordinator } from '../lib/index.ts';
import type { Finding } from './findings.ts';
import { inRounds, spreadOf, timeOf } from './rounds.ts';
import { seed, seedKeys } from './seed.ts';

export interface FreshnessOptions {
  /** For how many intervals it is watched. */
  readonly intervals: number;
  readonly rounds: number;
  /** Proofs in each round. */
  readonly proofs: number;
}

/** Short, so that there is something to count. The number of calls per interval does not depend on its length. */
const FRESHNESS_MS = 250;

const KEYS = 10_000;
const PREFIXES = 20;
const READERS = 50;

export async function freshness(etcd: EtcdServer, options: FreshnessOptions): Promise<readonly Finding[]> {
  return [await callsOf(etcd, options), await timeOfProof(etcd, options)];
}

async function callsOf(etcd: EtcdServer, { intervals }: FreshnessOptions): Promise<Finding> {
  /* A long TTL, so that no renewal and no audit falls into the time that is counted. */
  await using coordinator = createCoordinator({
    endpoints: etcd.endpoint,
    namespace: 'bench-freshness',
    session: { ttlMs: 600_000 },
  });
  const caches = Array.from({ length: PREFIXES * READERS }, (_, index) =>
    coordinator.cache(`prefix-${index % PREFIXES}/`, { freshnessMs: FRESHNESS_MS }),
  );
  await Promise.all(caches.map((cache) => cache.ready({ timeoutMs: 30_000 })));
  await sleep(2 * FRESHNESS_MS);

  const before = await etcd.startedRpcs();
  const startedAt = performance.now();
  await sleep(intervals * FRESHNESS_MS);
  const passed = (performance.now() - startedAt) / FRESHNESS_MS;
  const after = await etcd.startedRpcs();
  const calls = [...after].reduce((sum, [method, count]) => sum + count - (before.get(method) ?? 0), 0);
  return {
    what: `freshness of ${PREFIXES} prefixes with ${READERS} readers each: calls per prefix and freshnessMs`,
    measured: calls / PREFIXES / passed,
    target: { atMost: 1.1, why: 'one, and what jitter adds' },
  };
}

/** The question of a proof as a replica asks it, without the replica. */
async function timeOfProof(etcd: EtcdServer, { rounds, proofs }: FreshnessOptions): Promise<Finding> {
  const raw = new Etcd3({ hosts: etcd.endpoint });
  try {
    await seed(raw, 'bench-proof/many/', seedKeys(KEYS), (key) => `http://10.0.0.1:8080/${key}`);
    await seed(raw, 'bench-proof/one/', seedKeys(1), (key) => key);
    const { header } = await raw.kv.range({ key: Buffer.from('bench-proof/one') });
    const prove = (name: string) => async (count: number) => {
      for (let proof = 0; proof < count; proof += 1) {
        await raw.kv.range({
          key: Buffer.from(`bench-proof/${name}/`),
          range_end: Buffer.from(`bench-proof/${name}0`),
          min_mod_revision: String(BigInt(header.revision) + 1n),
          sort_target: 'Mod',
          sort_order: 'Descend',
          limit: 1,
          keys_only: true,
        });
      }
    };
    const results = await inRounds(
      [
        { name: 'many', run: prove('many') },
        { name: 'one', run: prove('one') },
      ],
      { rounds, operations: proofs },
    );
    return {
      what: 'one proof over 10,000 keys: time of a proof over one key',
      measured: spreadOf(results, (round) => timeOf(round, 'many') / timeOf(round, 'one')),
    };
  } finally {
    raw.close();
  }
}
