import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../lib/store/store.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import { longestWaitMs, waitsOf } from '../servers/starvation.ts';
import type { Electorate, Incumbent } from './electorate.ts';
import { machineMs } from './machine-clock.ts';
import type { Fate, Incident } from './terms.ts';

/** The etcd under an election: one member, or a cluster. */
export interface Site {
  readonly members: readonly EtcdServer[];
  /** Goes straight to it. */
  readonly store: Store;
  /** Resolves when there is one. */
  readonly leader: () => Promise<EtcdServer>;
  /** Cuts a member off from its peers, and ends that. */
  readonly isolate: (member: EtcdServer) => void;
  readonly heal: () => void;
  /** How long its elections take by its settings. */
  readonly electionMs: number;
}

export interface Fault {
  readonly name: string;
  readonly fate: Fate;
  /** The leader's process does not run while it lasts. */
  readonly isDeaf?: boolean;
  /** What etcd has to do before it can serve again. A restart is over when `hit` is. */
  readonly needs?: 'an election' | 'a restart';
  /** It hits a leader that has led for so long. */
  readonly afterMs?: number;
  readonly hit: (leader: Incumbent, site: Site) => void | Promise<void>;
  /** Ends it, so that the leader that was hit can stand again. */
  readonly end?: (leader: Incumbent, site: Site) => void | Promise<void>;
}

/** So long a fault outlasts the next election: a leader that went on believing in itself would be set right by the end of the fault. */
const LINGER_MS = 500;

const options = { timeoutMs: 5_000 };

const heal: NonNullable<Fault['end']> = ({ candidate }) => candidate.network((proxy) => proxy.heal());

/** What happens to a leader alone. */
export const clientFaults: readonly Fault[] = [
  {
    name: 'the leader is killed',
    fate: 'expires',
    isDeaf: true,
    hit: ({ candidate }) => candidate.kill(),
    end: ({ candidate }) => candidate.revive(),
  },
  {
    name: 'the leader is stopped past its TTL',
    fate: 'expires',
    isDeaf: true,
    hit: ({ candidate }) => candidate.pause(),
    end: ({ candidate }) => candidate.resume(),
  },
  {
    name: 'the leader is behind a blackhole',
    fate: 'expires',
    hit: ({ candidate }) => candidate.network((proxy) => proxy.blackhole()),
    end: heal,
  },
  {
    name: 'the leader gets no answers',
    fate: 'expires',
    hit: ({ candidate }) => candidate.network((proxy) => proxy.dropResponses()),
    end: heal,
  },
  {
    name: 'the leader is not heard',
    fate: 'expires',
    hit: ({ candidate }) => candidate.network((proxy) => proxy.dropRequests()),
    end: heal,
  },
  {
    name: 'the leader is cut off',
    fate: 'expires',
    hit: ({ candidate }) => candidate.network((proxy) => proxy.cut()),
    end: heal,
  },
  {
    name: 'an operator revokes the leader’s lease',
    fate: 'is deposed',
    hit: ({ lease }, { store }) => store.revoke(lease, options),
  },
  {
    name: 'an operator deletes the leader’s key',
    fate: 'is deposed',
    /* A key that was just taken is not watched yet: of short tenures, the most frequent ones, a watch would be half the cost. */
    afterMs: 500,
    hit: async ({ key }, { store }) => {
      await store.transact({ compare: [], then: [{ type: 'delete', key }] }, options);
    },
  },
  { name: 'the leader resigns', fate: 'resigns', hit: ({ candidate }) => candidate.resign() },
];

/** Lets every fault hit the leader of the election, one after the other, and waits for what becomes of it. */
export async function bringAbout(
  faults: readonly Fault[],
  electorate: Electorate,
  site: Site,
  ttlMs: number,
): Promise<Incident[]> {
  const incidents: Incident[] = [];
  const pids = (): number[] => [process, ...electorate.candidates, ...site.members].map(({ pid }) => pid);
  for (const { name: fault, fate, isDeaf = false, needs, afterMs = 0, hit, end } of faults) {
    const leader = await electorate.assembled();
    const { token, from } = leader.term;
    await sleep(Math.max(0, from + afterMs - machineMs()));
    const before = waitsOf(pids());
    const at = machineMs();
    await hit(leader, site);
    const backAt = needs === 'a restart' ? machineMs() : at;
    if (needs === 'an election') await site.leader();
    const electionMs = Math.max(site.electionMs, needs === 'an election' ? machineMs() - at : 0);
    const mayStay = fate === 'may stay' || fate === 'may be deposed';
    if (mayStay) await electorate.ledAt(backAt + ttlMs);
    else await electorate.successor(token);
    const waitedMs = longestWaitMs(before, waitsOf(pids()));
    if (fate === 'expires') await sleep(LINGER_MS);
    await end?.(leader, site);
    /* After a resignation or what an operator did, too, where the leader's process lives on and renews: no lease that ends brings a successor. */
    const boundMs = ttlMs + 2 * electionMs + 2_000;
    /* Time in which one of the processes waited for a processor does not count: what it had to do, it could not do. */
    const withinMs = boundMs + Math.min(waitedMs, boundMs);
    incidents.push({ fault, fate, token, at, backAt, withinMs, hears: !isDeaf && !mayStay });
  }
  await electorate.assembled();
  return incidents;
}
