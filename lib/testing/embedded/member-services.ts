import { status } from '@grpc/grpc-js';
import type { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { GrpcStatus, type ServiceHandlers } from './grpc-server.ts';
import type { Member } from './member.ts';

interface AlarmRequest {
  readonly action: 'Get' | 'Activate' | 'Deactivate';
  readonly memberID: string;
  readonly alarm: 'None' | 'Nospace' | 'Corrupt';
}

export function clusterService(member: Member): ServiceHandlers {
  // Membership is no part of the keyspace, so etcd tells no revision here.
  return { unary: { memberList: () => ({ header: member.header(0n), members: [member.describe()] }) } };
}

export function authService(member: Member): ServiceHandlers {
  return {
    unary: {
      authenticate: () => {
        throw new GrpcStatus(status.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled');
      },
      authStatus: () => ({ header: member.header(), enabled: false, authRevision: 1 }),
    },
  };
}

export function maintenanceService(cluster: MemoryCluster, member: Member): ServiceHandlers {
  const quotaAlarm = { memberID: member.id, alarm: 'Nospace' };
  const alarms = (): readonly object[] => (cluster.isOutOfSpace ? [quotaAlarm] : []);
  return {
    unary: {
      alarm: ({ action, memberID, alarm }: AlarmRequest) => {
        const header = member.header();
        if (action === 'Get') return { header, alarms: alarm === 'Corrupt' ? [] : alarms() };
        const isOurs = alarm === 'Nospace' && (memberID === '0' || memberID === member.id);
        if (!isOurs) throw new GrpcStatus(status.UNIMPLEMENTED, 'The embedded etcd of holdfast has no such alarm');
        const changed = action === 'Activate' || cluster.isOutOfSpace ? [quotaAlarm] : [];
        if (action === 'Activate') cluster.exceedQuota();
        else cluster.disarmQuota();
        return { header, alarms: changed };
      },
      status: () => {
        // There is no log of raft: each revision counts as an entry of it. And no file: keys and values grow an empty one.
        const index = String(cluster.revision);
        const bytes = EMPTY_FILE_BYTES + sizeOf(cluster);
        return {
          header: member.header(),
          version: member.version,
          dbSize: bytes,
          dbSizeInUse: bytes,
          leader: member.id,
          raftTerm: member.term,
          raftIndex: index,
          raftAppliedIndex: index,
          errors: cluster.isOutOfSpace ? [`memberID:${member.id} alarm:NOSPACE `] : [],
        };
      },
      // There is nothing to defragment, but it is a step of the cure for an exceeded quota.
      defragment: () => ({}),
    },
  };
}

/** The size of a new etcd's file. */
const EMPTY_FILE_BYTES = 20_480;

/** The bytes of the newest keys and values. */
function sizeOf(cluster: MemoryCluster): number {
  return cluster.entries('').reduce((sum, { key, value }) => sum + key.length + value.length, 0);
}
