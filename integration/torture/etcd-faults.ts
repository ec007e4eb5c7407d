import { setTimeout as sleep } from 'node:timers/promises';
import type { PartitionOptions } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import type { Site } from './site.ts';

/** What happens to etcd. */
export interface EtcdFault {
  readonly name: string;
  readonly lastsMs: readonly [number, number];
  /** Resolves to whether it really hit. */
  readonly begin: (site: Site) => Promise<boolean>;
  /** Resolves when etcd can serve again. */
  readonly end?: (site: Site) => Promise<void>;
}

const HEALTH_MS = 1_500;
const POLL_MS = 50;
const ISOLATED_WITHIN_MS = 6_000;

/** What a member does in error when it wakes, it has done after this. */
const CALM_MS = 500;

const kill = (member: EtcdServer): Promise<void> => member.stop({ signal: 'SIGKILL' });

async function restartAll({ cluster }: Site): Promise<void> {
  await Promise.all(cluster.members.filter((member) => !member.isRunning).map((member) => member.restart()));
}

function partition(
  name: string,
  lastsMs: readonly [number, number],
  who: 'leader' | 'follower',
  direction: NonNullable<PartitionOptions['direction']>,
): EtcdFault {
  return {
    name,
    lastsMs,
    begin: async (site) => {
      const leader = await site.leader();
      const member = who === 'leader' ? leader : site.cluster.members.find((each) => each !== leader);
      if (member === undefined) return false;
      if (who === 'leader') site.note({ why: 'a deposed leader' });
      site.cluster.partition(member, { direction });
      return await becomesUnhealthy(member);
    },
    end: async ({ cluster }) => {
      cluster.heal();
      await Promise.all(cluster.members.map((member) => member.untilHealthy()));
    },
  };
}

/** A member without its peers cannot commit. */
async function becomesUnhealthy(member: EtcdServer): Promise<boolean> {
  const deadline = performance.now() + ISOLATED_WITHIN_MS;
  while (performance.now() < deadline) {
    const isHealthy = await fetch(`http://127.0.0.1:${member.metricsPort}/health`, {
      signal: AbortSignal.timeout(HEALTH_MS),
    }).then(
      async (response) => ((await response.json()) as { readonly health?: string }).health === 'true',
      () => false,
    );
    if (!isHealthy) return true;
    await sleep(POLL_MS);
  }
  return false;
}

export const etcdFaults: readonly EtcdFault[] = [
  {
    name: 'etcd’s leader killed and restarted',
    lastsMs: [200, 2_000],
    begin: async (site) => {
      const leader = await site.leader();
      await kill(leader);
      return !leader.isRunning;
    },
    end: restartAll,
  },
  {
    name: 'etcd’s leader stopped',
    lastsMs: [600, 3_500],
    begin: async (site) => {
      const leader = await site.leader();
      leader.pause();
      return leader.isPaused;
    },
    end: async (site) => {
      const { cluster } = site;
      site.note({ why: 'a woken leader' });
      for (const member of cluster.members) if (member.isPaused) member.resume();
      await sleep(CALM_MS);
      await Promise.all(cluster.members.map((member) => member.untilHealthy()));
    },
  },
  partition('etcd’s leader partitioned', [500, 3_000], 'leader', 'both'),
  partition('etcd’s leader deaf', [500, 2_500], 'leader', 'inbound'),
  partition('etcd’s leader mute', [500, 2_500], 'leader', 'outbound'),
  partition('etcd’s follower partitioned', [500, 3_500], 'follower', 'both'),
  {
    name: 'all of etcd killed and restarted',
    lastsMs: [0, 1_500],
    begin: async ({ cluster }) => {
      await Promise.all(cluster.members.map(kill));
      return cluster.members.every((member) => !member.isRunning);
    },
    end: restartAll,
  },
  { name: 'history compacted', lastsMs: [0, 0], begin: (site) => site.compact() },
];
