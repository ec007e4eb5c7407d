import { expectWholeNumber } from '../../arguments.ts';
import { shuffled } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import type {
  CallOptions,
  LeaseKeysResponse,
  LeaseResponse,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  Store,
  Transaction,
  TransactionResponse,
  WatchBatch,
  WatchRequest,
} from '../store.ts';
import { Authentication, type AuthOptions } from './authentication.ts';
import { UnaryCalls } from './calls.ts';
import { protectionOf, sourcesOf } from './discovery-sources.ts';
import { Discovery, type DiscoveryOptions } from './discovery.ts';
import { parseEndpoints, type Endpoint } from './endpoints.ts';
import { GrpcLine } from './grpc-line.ts';
import { Http2Line } from './http2-line.ts';
import type { Line } from './line.ts';
import { Members } from './members.ts';
import { OpenCalls } from './open-calls.ts';
import { Renewals } from './renewals.ts';
import { srvName, systemResolveSrv, type ResolveSrv } from './srv.ts';
import { secureContext, type TlsOptions } from './tls.ts';
import { Watches } from './watches.ts';
import { fromRange, fromTransaction, isWriting, revisionOf, toRangeRequest, toTransaction } from './wire.ts';

export interface EtcdStoreOptions {
  /** `http://host:port` or `https://host:port`, all of one scheme. May be empty only where `discovery.srv` finds them. */
  readonly endpoints: readonly string[];
  /** Where further endpoints come from. @default nowhere */
  readonly discovery?: DiscoveryOptions | undefined;
  /** What answers for DNS. @default this process's name servers */
  readonly resolveSrv?: ResolveSrv | undefined;
  readonly auth?: AuthOptions | undefined;
  /** Only with https endpoints. Without any endpoints, it means https for those that are found. */
  readonly tls?: TlsOptions | undefined;
  /**
   * How many calls may be under way at once; further ones wait in order, each within its own timeout. Renewals and watches do not count.
   * @default 128
   */
  readonly maxInFlight?: number | undefined;
  /**
   * What carries the unary calls: node:http2, or gRPC's library, which carries the streams in any case.
   * @default 'http2'
   */
  readonly unary?: 'http2' | 'grpc-js' | undefined;
}

/**
 * The store over a real etcd cluster. Throws a TypeError if an endpoint, a certificate or a user is not usable; does no I/O before the
 * first call.
 */
export function createEtcdStore(runtime: Runtime, options: EtcdStoreOptions): Store {
  return new EtcdStore(runtime, options);
}

/**
 * Three connections to the member in use, made when first needed: for calls, for watches and for renewals. None can delay another.
 * Each goes on to another member by itself when its own gives reason to.
 */
class EtcdStore implements Store {
  readonly #members: {
    readonly calls: Members;
    readonly watches: Members<GrpcLine>;
    readonly renewals: Members<GrpcLine>;
  };
  readonly #open: OpenCalls;
  readonly #calls: UnaryCalls;
  readonly #renewals: Renewals;
  readonly #watches: Watches;
  readonly #discovery: Discovery | undefined;

  constructor(runtime: Runtime, options: EtcdStoreOptions) {
    const { maxInFlight = 128 } = options;
    expectWholeNumber('maxInFlight', maxInFlight, 1, 1_000_000);
    const { discovery } = options;
    const isFound = options.endpoints.length === 0 && discovery?.srv !== undefined;
    const endpoints = isFound ? [] : parseEndpoints(options.endpoints);
    const protection = protectionOf(endpoints, options.tls);
    const { secure } = protection;
    if (options.tls !== undefined && !secure) {
      throw new TypeError(`Expected https endpoints with \`tls\`, got ${JSON.stringify(endpoints[0]?.url)}`);
    }
    const context = secure ? secureContext(options.tls ?? {}) : undefined;
    const grpc = (endpoint: Endpoint): GrpcLine => new GrpcLine(runtime.clock, endpoint, context);
    const http2 = (endpoint: Endpoint): Http2Line => new Http2Line(runtime, endpoint, context);
    const missing = `the SRV records ${srvName(discovery?.srv ?? '', secure)}`;
    /* Each process draws for itself, so that the clients of a lost member spread over the others. */
    const members = <L extends Line>(open: (endpoint: Endpoint) => L): Members<L> =>
      new Members(shuffled(endpoints, runtime.random), open, missing);
    this.#members = {
      calls: members<Line>(options.unary === 'grpc-js' ? grpc : http2),
      watches: members(grpc),
      renewals: members(grpc),
    };
    this.#open = new OpenCalls(runtime.clock, () => this.#discovery?.start());
    const authentication = new Authentication(this.#open, options.auth);
    this.#calls = new UnaryCalls(runtime, this.#open, this.#members.calls, authentication, { maxInFlight });
    this.#renewals = new Renewals(this.#open, this.#members.renewals, authentication);
    this.#watches = new Watches(this.#open, this.#members.watches, authentication);
    if (discovery !== undefined) {
      const sources = sourcesOf(discovery, protection, this.#calls, options.resolveSrv ?? systemResolveSrv);
      this.#discovery = new Discovery(runtime, Object.values(this.#members), endpoints, sources, discovery);
    }
  }

  range(request: RangeRequest, options: CallOptions): Promise<RangeResponse> {
    return this.#calls.call('read', 'range', toRangeRequest(request), options, fromRange);
  }

  transact(transaction: Transaction, options: CallOptions): Promise<TransactionResponse> {
    const kind = isWriting(transaction) ? 'write' : 'read';
    return this.#calls.call(kind, 'txn', toTransaction(transaction), options, (response) =>
      fromTransaction(transaction, response),
    );
  }

  grant(lease: bigint, ttlMs: number, options: CallOptions): Promise<LeaseResponse> {
    const request = { ID: String(lease), TTL: Math.ceil(ttlMs / 1_000) };
    return this.#calls.call('write', 'leaseGrant', request, options, (response) => ({
      revision: revisionOf(response),
      ttlMs: Number(response.TTL) * 1_000,
    }));
  }

  async revoke(lease: bigint, options: CallOptions): Promise<void> {
    try {
      await this.#calls.call('write', 'leaseRevoke', { ID: String(lease) }, options, () => undefined);
    } catch (error) {
      if (!(error instanceof StoreError && error.reason === 'lease-not-found')) throw error;
    }
  }

  renew(lease: bigint, options: CallOptions): Promise<LeaseResponse> {
    return this.#renewals.renew(lease, options);
  }

  leaseKeys(lease: bigint, options: CallOptions): Promise<LeaseKeysResponse> {
    const request = { ID: String(lease), keys: true };
    return this.#calls.call('read', 'leaseTimeToLive', request, options, (response) => ({
      revision: revisionOf(response),
      remainingMs: remainingMs(Number(response.TTL)),
      keys: response.keys.map(String),
    }));
  }

  status(options: CallOptions): Promise<StatusResponse> {
    return this.#calls.call('read', 'status', {}, options, (response) => ({
      revision: revisionOf(response),
      version: response.version,
      dbSizeBytes: Number(response.dbSize),
      hasLeader: BigInt(response.leader) !== 0n,
    }));
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return this.#watches.watch(request, signal);
  }

  close(): Promise<void> {
    this.#discovery?.close();
    this.#open.close();
    this.#watches.close();
    this.#renewals.close();
    for (const members of Object.values(this.#members)) members.close();
    return Promise.resolve();
  }
}

/** etcd counts whole seconds, rounded down: 0 is a lease in its last second, and -1 one that is gone. */
function remainingMs(seconds: number): number {
  return seconds === 0 ? 1 : Math.max(0, seconds) * 1_000;
}
