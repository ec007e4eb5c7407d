import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { marginMs } from '../../lib/session/keeper.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { Electorate } from './electorate.ts';
import { bringAbout, type Fault, type Site } from './faults.ts';
import { checkTerms } from './terms.ts';

export interface TrialOptions {
  readonly faults: readonly Fault[];
  /** How many elections share the faults and etcd, beside each other. */
  readonly elections: number;
  /** @default 3 */
  readonly candidates?: number | undefined;
  readonly ttlMs: number;
}

/** etcd's default. */
const ELECTION_MS = 1_000;

/** What one delivery of a watch, or a timer, may take on a busy machine; a lease takes ten times as long to end. */
const DELIVERY_MS = 250;

/** Holds elections on one member, under faults. Resolves with a line for each fault; rejects if one went wrong. */
export async function hold({
  version,
  ...options
}: TrialOptions & { readonly version: EtcdVersion }): Promise<readonly string[]> {
  await using server = await EtcdServer.start({ version });
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint] });
  try {
    const site = { members: [server], store, leader: () => Promise.resolve(server), electionMs: ELECTION_MS };
    return await holdAt(site, options);
  } finally {
    await store.close();
  }
}

async function holdAt(
  site: Site,
  { faults, elections, candidates: size = 3, ttlMs }: TrialOptions,
): Promise<readonly string[]> {
  const endpoints = site.members.map(({ endpoint }) => endpoint);
  const { store } = site;
  const holding = Array.from({ length: elections }, async (_, index) => {
    await using electorate = await Electorate.start({ endpoints, store, election: `e${index + 1}`, size, ttlMs });
    const share = faults.filter((__, place) => place % elections === index);
    const incidents = await bringAbout(share, electorate, site, ttlMs);
    const limits = { ttlMs, validForMs: ttlMs - marginMs(ttlMs), deliveryMs: DELIVERY_MS };
    return checkTerms(electorate.terms, incidents, limits).map(
      ({ fault, tookMs, overlapMs }) =>
        `${fault}: the next leader after ${tookMs.toFixed(0)} ms, the last belief ${(-overlapMs).toFixed(0)} ms before it`,
    );
  });
  /* All of them end before etcd does. */
  const results = await Promise.allSettled(holding);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}
