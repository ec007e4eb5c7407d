import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../lock/support/until.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import type { PartitionOptions } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import type { Site } from './site.ts';

/** What happens to etcd. */
export interface EtcdFault {
  readonly name: string;
  readonly lastsMs: readonly [number, number];
  /** Resolves to whether it really hit. */
  readonly begin: (site: Site) => Promise<boolean>;
  /** Resolves when etcd can serve again; to `false` if it turned out that it did not hit. */
  readonly end?: (site: Site) => Promise<boolean | void>;
  /** By it leases get another keeper, or their owners do not reach the one they have. */
  readonly touchesLeases?: boolean;
  /** Only where processes may be traced. */
  readonly needsTracing?: boolean;
}

const HEALTH_MS = 1_500;
const POLL_MS = 50;
const ISOLATED_WITHIN_MS = 6_000;

/** What a member does in error when it wakes, it has done after this. */
const CALM_MS = 500;

/** A cheap disk of a cloud; and one that does not come back before it is let go. */
const SLOW_DISK_MS = 120;
const FROZEN_DISK_MS = 30_000;

export const OLDEST: EtcdVersion = '3.4';
export const NEWEST: EtcdVersion = '3.5.30';

const kill = (member: EtcdServer): Promise<void> => member.stop({ signal: 'SIGKILL' });

/** A member that has just started on a busy machine takes its time to answer. */
async function servedVersion({ endpoint }: EtcdServer): Promise<string> {
  return await until(`the version of ${endpoint}`, async () => {
    try {
      const response = await fetch(`${endpoint}/version`, { signal: AbortSignal.timeout(HEALTH_MS) });
      return ((await response.json()) as { readonly etcdserver: string }).etcdserver;
    } catch {
      return '';
    }
  });
}

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
    touchesLeases: who === 'leader',
    begin: async (site) => {
      const leader = await site.leader();
      const member = who === 'leader' ? leader : site.cluster.members.find((each) => each !== leader);
      if (member === undefined) return false;
      if (who === 'leader') site.note({ why: 'a deposed leader' });
      site.cluster.partition(member, { direction });
      return await becomesUnhealthy(member);
    },
    end: async (site) => {
      site.cluster.heal();
      await site.untilHealthy();
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

function slowDisk(name: string, lastsMs: readonly [number, number], delayMs: number): EtcdFault {
  return {
    name,
    lastsMs,
    needsTracing: true,
    begin: async (site) => {
      await site.slowDown(await site.leader(), delayMs);
      return true;
    },
    end: async (site) => {
      const delayed = await site.speedUp();
      await site.untilHealthy();
      return delayed > 0;
    },
  };
}

export const etcdFaults: readonly EtcdFault[] = [
  {
    name: 'etcd’s leader killed and restarted',
    lastsMs: [200, 2_000],
    touchesLeases: true,
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
    touchesLeases: true,
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
      await site.untilHealthy();
    },
  },
  partition('etcd’s leader partitioned', [500, 3_000], 'leader', 'both'),
  partition('etcd’s leader deaf', [500, 2_500], 'leader', 'inbound'),
  partition('etcd’s leader mute', [500, 2_500], 'leader', 'outbound'),
  partition('etcd’s follower partitioned', [500, 3_500], 'follower', 'both'),
  {
    name: 'all of etcd killed and restarted',
    lastsMs: [0, 1_500],
    touchesLeases: true,
    begin: async ({ cluster }) => {
      await Promise.all(cluster.members.map(kill));
      return cluster.members.every((member) => !member.isRunning);
    },
    end: restartAll,
  },
  { name: 'history compacted', lastsMs: [0, 0], begin: (site) => site.compact() },
  { name: 'etcd out of space', lastsMs: [300, 1_500], begin: (site) => site.fill(), end: (site) => site.makeSpace() },
  {
    name: 'every member of etcd restarted, one by one',
    lastsMs: [0, 0],
    begin: async (site) => {
      const { members } = site.cluster;
      const before = members.map(({ pid }) => pid);
      for (const member of members) await member.restart();
      return members.every(({ pid, isRunning }, index) => isRunning && pid !== before[index]);
    },
  },
  {
    name: 'etcd’s leader removed, and replaced by a member without data',
    lastsMs: [0, 0],
    touchesLeases: true,
    begin: async (site) => {
      const leader = await site.leader();
      const { before, after } = await site.cluster.replace(leader);
      await site.relieve(leader);
      return before !== '' && after !== '' && before !== after;
    },
  },
  slowDisk('etcd’s leader on a slow disk', [800, 2_500], SLOW_DISK_MS),
  slowDisk('etcd’s leader on a disk that stands still', [600, 2_500], FROZEN_DISK_MS),
];

/** Once, at the beginning: what was there before was started as an older version. */
export const upgrade: EtcdFault = {
  name: 'etcd upgraded from 3.4 to 3.5, member by member',
  lastsMs: [0, 0],
  begin: async ({ cluster }) => {
    const before = cluster.members.map(({ binaries }) => binaries.version);
    for (const member of cluster.members) await member.upgrade(NEWEST);
    const after = await Promise.all(cluster.members.map(servedVersion));
    return (
      before.every((version) => version.startsWith('3.4.')) && after.every((version) => version.startsWith('3.5.'))
    );
  },
};
