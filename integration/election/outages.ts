import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '../servers/etcd-server.ts';
import type { Fault, Site } from './faults.ts';

/** Longer than any lease of these elections, as well as what is added to it when etcd elects. */
const LONG_MS = 5_000;

/** What a member does in error when it wakes, it has done after this. */
const CALM_MS = 500;

const everyMember = async ({ members }: Site, act: (member: EtcdServer) => void | Promise<void>): Promise<void> => {
  await Promise.all(members.map(async (member) => act(member)));
};

const kill = (member: EtcdServer): Promise<void> => member.stop({ signal: 'SIGKILL' });
const restart = (member: EtcdServer): Promise<void> => member.restart();

/** Those that did not come through run again. */
const restore: NonNullable<Fault['end']> = async (_, site) => {
  await everyMember(site, (member) => (member.isRunning ? undefined : restart(member)));
};

/** What happens to the whole of etcd, one member or several. */
export const outages: readonly Fault[] = [
  {
    name: 'etcd is killed and restarted at once',
    fate: 'may stay',
    needs: 'a restart',
    hit: async (_, site) => {
      await everyMember(site, kill);
      await everyMember(site, restart);
    },
  },
  {
    name: 'etcd is killed, and restarted after a TTL',
    fate: 'expires',
    needs: 'a restart',
    hit: async (_, site) => {
      await everyMember(site, kill);
      await sleep(LONG_MS);
      await everyMember(site, restart);
    },
  },
  {
    name: 'etcd is stopped, and goes on after a TTL',
    fate: 'expires',
    needs: 'a restart',
    hit: async (_, site) => {
      await everyMember(site, (member) => member.pause());
      await sleep(LONG_MS);
      await everyMember(site, (member) => member.resume());
      await site.leader();
    },
  },
];

/** What happens to the leader of a cluster of three. */
export const clusterFaults: readonly Fault[] = [
  {
    name: 'etcd’s leader is killed',
    fate: 'may stay',
    needs: 'an election',
    hit: async (_, site) => kill(await site.leader()),
    end: restore,
  },
  {
    name: 'etcd’s leader is killed, and the leader with it',
    fate: 'expires',
    isDeaf: true,
    needs: 'an election',
    hit: async ({ candidate }, site) => {
      const member = await site.leader();
      await Promise.all([kill(member), candidate.kill()]);
    },
    end: async (leader, site) => {
      await restore(leader, site);
      leader.candidate.revive();
    },
  },
  {
    name: 'etcd’s leader is cut off from its peers',
    fate: 'may stay',
    needs: 'an election',
    hit: async (_, site) => site.isolate(await site.leader()),
    end: (_, site) => site.heal(),
  },
  {
    name: 'etcd’s leader is stopped, and deposed when it goes on',
    /* Leases have ended by its clock, and it may revoke one before it learns that it leads no more. */
    fate: 'may be deposed',
    needs: 'an election',
    hit: async (_, site) => (await site.leader()).pause(),
    end: async (_, site) => {
      await everyMember(site, (member) => member.resume());
      await sleep(CALM_MS);
    },
  },
];
