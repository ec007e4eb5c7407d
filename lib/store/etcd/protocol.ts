import type { Client, ServiceClientConstructor, ServiceDefinition } from '@grpc/grpc-js';
import { noop } from 'cockatiel';
import {
  Etcd3,
  type IAuthenticateRequest,
  type IAuthenticateResponse,
  type ILeaseGrantRequest,
  type ILeaseGrantResponse,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type ILeaseRevokeRequest,
  type ILeaseRevokeResponse,
  type ILeaseTimeToLiveRequest,
  type ILeaseTimeToLiveResponse,
  type IMemberListRequest,
  type IMemberListResponse,
  type IRangeRequest,
  type IRangeResponse,
  type IStatusResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
} from 'etcd3';

/** The unary calls that this adapter makes: where they live, what they take and what they give. */
export interface UnaryMethods {
  readonly range: { readonly service: 'KV'; readonly request: IRangeRequest; readonly response: IRangeResponse };
  readonly txn: { readonly service: 'KV'; readonly request: ITxnRequest; readonly response: ITxnResponse };
  readonly leaseGrant: {
    readonly service: 'Lease';
    readonly request: ILeaseGrantRequest;
    readonly response: ILeaseGrantResponse;
  };
  readonly leaseRevoke: {
    readonly service: 'Lease';
    readonly request: ILeaseRevokeRequest;
    readonly response: ILeaseRevokeResponse;
  };
  readonly leaseTimeToLive: {
    readonly service: 'Lease';
    readonly request: ILeaseTimeToLiveRequest;
    readonly response: ILeaseTimeToLiveResponse;
  };
  readonly status: { readonly service: 'Maintenance'; readonly request: object; readonly response: IStatusResponse };
  readonly memberList: {
    readonly service: 'Cluster';
    readonly request: IMemberListRequest;
    readonly response: IMemberListResponse;
  };
  readonly authenticate: {
    readonly service: 'Auth';
    readonly request: IAuthenticateRequest;
    readonly response: IAuthenticateResponse;
  };
}

export interface StreamMethods {
  readonly watch: { readonly service: 'Watch'; readonly request: IWatchRequest; readonly response: IWatchResponse };
  readonly leaseKeepAlive: {
    readonly service: 'Lease';
    readonly request: ILeaseKeepAliveRequest;
    readonly response: ILeaseKeepAliveResponse;
  };
}

export type UnaryMethod = keyof UnaryMethods;
export type StreamMethod = keyof StreamMethods;
export type Service = (UnaryMethods & StreamMethods)[UnaryMethod | StreamMethod]['service'];

export const SERVICE_OF: { readonly [M in UnaryMethod | StreamMethod]: Service } = {
  range: 'KV',
  txn: 'KV',
  leaseGrant: 'Lease',
  leaseRevoke: 'Lease',
  leaseTimeToLive: 'Lease',
  leaseKeepAlive: 'Lease',
  status: 'Maintenance',
  memberList: 'Cluster',
  authenticate: 'Auth',
  watch: 'Watch',
};

/** Every service of a server. The calls of this adapter need not all of them. */
export type EtcdService = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth';

/**
 * What is used of the npm package `etcd3`: the definition of the protocol, as gRPC clients for one channel that we hand in. All of its
 * own handling of faults is switched off, and none of its calls is used: they retry writes, share one circuit breaker among reads and
 * writes, drop gRPC's status code and cannot be cancelled.
 */
export class Protocol extends Etcd3 {
  constructor(authority: string, channelOptions: Record<string, unknown>) {
    super({
      hosts: `http://${authority}`,
      grpcOptions: channelOptions,
      faultHandling: { host: () => noop, global: noop },
    });
  }

  /** The client of one service. The function that is handed to etcd3 never fails, since on a failure it would close every channel. */
  client(service: EtcdService): Promise<Client> {
    return this.pool.withConnection(service, ({ client }) => client);
  }
}

/** The methods of services as gRPC's library takes them for a server: their names, and how their messages are read and written. */
export async function serviceDefinitions<S extends EtcdService>(
  services: readonly S[],
): Promise<Readonly<Record<S, ServiceDefinition>>> {
  // etcd3 tells them through its clients only. These connect to nothing, since no call is made.
  const protocol = new Protocol('127.0.0.1:0', {});
  try {
    const definitions = services.map(async (service) => {
      const client = await protocol.client(service);
      return [service, (client.constructor as ServiceClientConstructor).service] as const;
    });
    return Object.fromEntries(await Promise.all(definitions)) as Record<S, ServiceDefinition>;
  } finally {
    protocol.close();
  }
}
