import type { Random } from '../../runtime/random.ts';
import type { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { toBytes } from './bytes.ts';
import type { MessageStream, ServiceHandlers } from './grpc-server.ts';
import type { Member } from './member.ts';

interface LeaseRequest {
  readonly ID: string;
}

/** What etcd's leases say on the wire, where times are whole seconds. */
export function leaseService(random: Random, cluster: MemoryCluster, member: Member): ServiceHandlers {
  return {
    unary: {
      leaseGrant: ({ ID, TTL }: LeaseRequest & { readonly TTL: string }) => {
        const lease = ID === '0' ? newLease(random) : BigInt(ID);
        const ttlMs = cluster.grant(lease, Number(TTL) * 1_000);
        return { header: member.header(), ID: String(lease), TTL: seconds(ttlMs) };
      },
      leaseRevoke: ({ ID }: LeaseRequest) => {
        cluster.revoke(BigInt(ID));
        return { header: member.header() };
      },
      leaseTimeToLive: ({ ID, keys }: LeaseRequest & { readonly keys: boolean }) => {
        const lease = cluster.lease(BigInt(ID));
        const header = member.header();
        if (lease === undefined) return { header, ID, TTL: -1 };
        return {
          header,
          ID,
          TTL: seconds(lease.remainingMs),
          grantedTTL: seconds(lease.ttlMs),
          keys: keys ? lease.keys.map(toBytes) : [],
        };
      },
      leaseLeases: () => ({ header: member.header(), leases: byTheirEnd(cluster).map((id) => ({ ID: String(id) })) }),
    },
    streams: {
      leaseKeepAlive: (stream: MessageStream<LeaseRequest, object>) => {
        stream.onMessage(({ ID }) => {
          const ttlMs = cluster.renew(BigInt(ID));
          stream.send({ header: member.header(), ID, TTL: seconds(ttlMs) });
        });
        stream.onEnd(() => undefined);
      },
    },
  };
}

/** An ID for a client that has chosen none: positive, so 63 bits. */
function newLease(random: Random): bigint {
  return (random.bits64() >> 1n) | 1n;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/** The next to end is the first, as etcd lists them. */
function byTheirEnd(cluster: MemoryCluster): readonly bigint[] {
  const remainingMs = (id: bigint): number => cluster.lease(id)?.remainingMs ?? 0;
  return cluster.leases.toSorted((a, b) => remainingMs(a) - remainingMs(b));
}
