import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import type { ClientProcess } from './client-process.ts';
import type { Site } from './site.ts';

/** What happens to one client alone. */
export interface ClientFault {
  readonly name: string;
  /** It is ended after so long, at least and at most. */
  readonly lastsMs: readonly [number, number];
  /** It needs an etcd that serves. */
  readonly needsEtcd?: boolean;
  /** Its process is another one afterwards. */
  readonly kills?: boolean;
  /** By it a session can end: whatever stands on leases is to have met it. */
  readonly touchesLeases?: boolean;
  /** It is to meet a client between its read and its write under the lock. */
  readonly aimsAtWriter?: boolean;
  /** Resolves to whether it really hit. */
  readonly begin: (client: ClientProcess, site: Site) => Promise<boolean>;
  readonly end?: (client: ClientProcess) => void;
}

/** Of the clients' leases. */
export const TTL_MS = 3_000;

const CALL = { timeoutMs: 2_000 };
const SLOW_MS = 150;

/** The other clients write that much more until the history is taken away. */
const BEHIND_MS = 700;

function onNetwork(name: string, lastsMs: readonly [number, number], act: (proxy: FaultProxy) => void): ClientFault {
  return {
    name,
    lastsMs,
    touchesLeases: lastsMs[1] > TTL_MS,
    begin: (client) => {
      const isConnected = client.connections > 0;
      client.network(act);
      return Promise.resolve(isConnected);
    },
    end: healNetwork,
  };
}

function healNetwork(client: ClientProcess): void {
  client.network((proxy) => proxy.heal());
}

/** A lease lasts for {@link TTL_MS}, and etcd takes up to half a second more to end it. */
export const stoppedPastTtl: ClientFault = {
  name: 'client stopped past its TTL',
  lastsMs: [3_800, 5_000],
  touchesLeases: true,
  aimsAtWriter: true,
  begin: (client) => Promise.resolve(client.signal('SIGSTOP')),
  end: (client) => client.signal('SIGCONT'),
};

export const blackholed: ClientFault = onNetwork('client in a blackhole', [300, 4_500], (proxy) => proxy.blackhole());

export const clientFaults: readonly ClientFault[] = [
  stoppedPastTtl,
  {
    name: 'client stopped for a moment',
    lastsMs: [200, 1_500],
    begin: (client) => Promise.resolve(client.signal('SIGSTOP')),
    end: (client) => client.signal('SIGCONT'),
  },
  {
    name: 'client killed and replaced',
    lastsMs: [0, 1_000],
    kills: true,
    touchesLeases: true,
    begin: (client) => client.kill(),
    end: (client) => client.revive(),
  },
  blackholed,
  onNetwork('client without answers', [300, 4_500], (proxy) => proxy.dropResponses()),
  onNetwork('client that is not heard', [300, 4_500], (proxy) => proxy.dropRequests()),
  onNetwork('client cut off', [100, 3_500], (proxy) => proxy.cut()),
  onNetwork('client on a slow network', [500, 2_000], (proxy) => proxy.delay(SLOW_MS)),
  {
    name: 'client cut off while history is compacted',
    lastsMs: [300, 1_500],
    needsEtcd: true,
    begin: async (client, site) => {
      client.network((proxy) => proxy.cut());
      await sleep(BEHIND_MS);
      return await site.compact();
    },
    end: healNetwork,
  },
  {
    name: 'client’s lease revoked by an operator',
    lastsMs: [0, 0],
    needsEtcd: true,
    touchesLeases: true,
    begin: async (client, site) => {
      const lease = await site.leaseOf(client);
      if (lease === undefined) return false;
      site.note({ why: 'a revoked lease', lease });
      await site.store.revoke(lease, CALL);
      return true;
    },
  },
];
