import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { marginMs } from '../../lib/session/keeper.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Electorate } from './electorate.ts';
import { bringAbout, type Fault, type Site } from './faults.ts';
import { checkTerms } from './terms.ts';

export interface TrialOptions {
  readonly version: EtcdVersion;
  /** Of etcd. @default 1 */
  readonly members?: 1 | 3 | undefined;
  readonly faults: readonly Fault[];
  /** How many elections share the faults and etcd, beside each other. What happens to etcd itself is for one alone. @default 1 */
  readonly elections?: number | undefined;
  /** @default 3 */
  readonly candidates?: number | undefined;
}

/** The shortest that leaves room for a renewal to fail. */
const TTL_MS = 3_000;

/** etcd's default. */
const ELECTION_MS = 1_000;

/** What one delivery of a watch, or a timer, may take on a busy machine; a lease takes ten times as long to end. */
const DELIVERY_MS = 250;

/** Holds elections under faults. Resolves with a line for each fault; rejects if one went wrong. */
export async function hold(options: TrialOptions): Promise<readonly string[]> {
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
): Promise<readonly string[]> {
  const store = createEtcdStore(systemRuntime(), { endpoints: members.map(({ endpoint }) => endpoint) });
  try {
    return await holdAll({ members, store, electionMs: ELECTION_MS, ...cluster }, options);
  } finally {
    await store.close();
  }
}

async function holdAll(
  site: Site,
  { faults, elections = 1, candidates: size = 3 }: TrialOptions,
): Promise<readonly string[]> {
  const endpoints = site.members.map(({ endpoint }) => endpoint);
  const { store } = site;
  const holding = Array.from({ length: elections }, async (_, index) => {
    await using electorate = await Electorate.start({
      endpoints,
      store,
      election: `e${index + 1}`,
      size,
      ttlMs: TTL_MS,
    });
    const share = faults.filter((__, place) => place % elections === index);
    const incidents = await bringAbout(share, electorate, site, TTL_MS);
    const limits = { ttlMs: TTL_MS, validForMs: TTL_MS - marginMs(TTL_MS), deliveryMs: DELIVERY_MS };
    return checkTerms(electorate.terms, incidents, limits).map(({ fault, tookMs, overlapMs }) =>
      tookMs === 0
        ? `${fault}: the leader stayed`
        : `${fault}: the next leader after ${tookMs.toFixed(0)} ms, the last belief ${(-overlapMs).toFixed(0)} ms before it`,
    );
  });
  /* All of them end before etcd does. */
  const results = await Promise.allSettled(holding);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}
