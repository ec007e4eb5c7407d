import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { accessTo } from '../servers/access.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Electorate } from './electorate.ts';
import { bringAbout, type Fault, type Site } from './faults.ts';
import { checkTerms, type Passage } from './terms.ts';

export interface TrialOptions {
  /** Default: whatever etcd the machine has. */
  readonly version?: EtcdVersion | undefined;
  /** Of etcd. @default 1 */
  readonly members?: 1 | 3 | undefined;
  readonly faults: readonly Fault[];
  /** How many elections share the faults and etcd, beside each other. What happens to etcd itself is for one alone. @default 1 */
  readonly elections?: number | undefined;
  /** @default 3 */
  readonly candidates?: number | undefined;
  /** The default is the shortest that leaves room for a renewal to fail. @default 3000 */
  readonly ttlMs?: number | undefined;
}

/** etcd's default. */
const ELECTION_MS = 1_000;

/** The part of a lease for which its owner may count on it. */
const TRUSTED = 0.9;

/** What one delivery of a watch, or a timer, may take on a busy machine; a lease takes ten times as long to end. */
const DELIVERY_MS = 250;

/** Holds elections under faults. Resolves with how they went; rejects if one went wrong. */
export async function hold(options: TrialOptions): Promise<readonly Passage[]> {
  const { version, members: size = 1 } = options;
  if (size === 1) {
    await using server = await EtcdServer.start({ version });
    const nobody = (): void => {};
    return await holdAt([server], { leader: () => Promise.resolve(server), isolate: nobody, heal: nobody }, options);
  }
  await using cluster = await EtcdCluster.start({ version, size, partitionable: true });
  const leader = (): Promise<EtcdServer> => cluster.leader({ withinMs: 30_000 });
  const isolate = (member: EtcdServer): void => cluster.partition(member);
  return await holdAt(cluster.members, { leader, isolate, heal: () => cluster.heal() }, options);
}

async function holdAt(
  members: readonly EtcdServer[],
  cluster: Pick<Site, 'leader' | 'isolate' | 'heal'>,
  options: TrialOptions,
): Promise<readonly Passage[]> {
  const store = createEtcdStore(systemRuntime(), { endpoints: members.map(({ endpoint }) => endpoint), ...accessTo() });
  try {
    return await holdAll({ members, store, electionMs: ELECTION_MS, ...cluster }, options);
  } finally {
    await store.close();
  }
}

async function holdAll(
  site: Site,
  { faults, elections = 1, candidates: size = 3, ttlMs = 3_000 }: TrialOptions,
): Promise<readonly Passage[]> {
  const endpoints = site.members.map(({ endpoint }) => endpoint);
  const { store } = site;
  const holding = Array.from({ length: elections }, async (_, index) => {
    await using electorate = await Electorate.start({
      endpoints,
      store,
      election: `e${index + 1}`,
      size,
      ttlMs,
    });
    const share = faults.filter((__, place) => place % elections === index);
    const incidents = await bringAbout(share, electorate, site, ttlMs);
    const limits = { ttlMs, validForMs: TRUSTED * ttlMs, deliveryMs: DELIVERY_MS };
    return checkTerms(electorate.terms, incidents, limits, electorate.stalls);
  });
  /* All of them end before etcd does. */
  const results = await Promise.allSettled(holding);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}

/** For the log of a test. */
export function lineOf({ fault, tookMs, overlapMs }: Passage): string {
  if (tookMs === 0) return `${fault}: the leader stayed`;
  return `${fault}: the next leader after ${tookMs.toFixed(0)} ms, the last belief ${(-overlapMs).toFixed(0)} ms before it`;
}
