/**
 * What holdfast needs of etcd: a port of ten methods. `store/etcd/` speaks it to a real cluster, `store/memory/` is a model of one.
 *
 * Rules of the port, which every implementation keeps:
 * 1. Each call is *one attempt* with a deadline of its own, and settles by it. Repeating is the protocol's business, since only the
 *    protocol knows what is idempotent.
 * 2. A call rejects with a {@link StoreError} and nothing else. Its `outcome` says whether a write can have been applied.
 * 3. Keys and values are UTF-8 text. Revisions, lease IDs and tokens are bigint.
 * 4. A revision in an answer is the store's revision at that answer (`header.revision`), `0n` when etcd did not say.
 */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly version: bigint;
  /** `0n`: attached to no lease. */
  readonly lease: bigint;
}

/** One key, or every key that begins with a prefix. */
export type Span = { readonly key: string } | { readonly prefix: string };

/** How a range is asked for. */
export type RangeRequest = Span & {
  /** For pages: only keys from this one on (inclusive), within the span. */
  readonly from?: string;
  /** `0` or absent: no limit. */
  readonly limit?: number;
  readonly sort?: { readonly by: 'key' | 'create' | 'mod'; readonly order: 'ascend' | 'descend' };
  readonly minModRevision?: bigint;
  readonly maxCreateRevision?: bigint;
  /** Read as of this revision; absent: the newest. */
  readonly revision?: bigint;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
};

export interface RangeResponse {
  readonly revision: bigint;
  readonly entries: readonly KeyValue[];
  /** How many keys the whole span holds. etcd counts without regard to limit and revision filters. */
  readonly count: number;
  readonly more: boolean;
}

/**
 * A condition of a transaction. Over a prefix it must hold for every key in it; `create` = 0 over a prefix therefore means: the
 * prefix is empty.
 */
export type Compare =
  | (Span & {
      readonly target: 'create' | 'mod' | 'version';
      readonly is: '=' | '!=' | '<' | '>';
      readonly than: bigint;
    })
  | { readonly key: string; readonly target: 'value'; readonly is: '=' | '!='; readonly than: string };

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly lease?: bigint }
  | ({ readonly type: 'delete' } & Span)
  | ({ readonly type: 'range' } & RangeRequest)
  | ({ readonly type: 'txn' } & Transaction);

/** If every compare holds, `then` is done, else `otherwise`; all of it at one revision. */
export interface Transaction {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export type OperationResponse =
  | { readonly type: 'put' }
  | { readonly type: 'delete'; readonly deleted: number }
  | ({ readonly type: 'range' } & RangeResponse)
  | ({ readonly type: 'txn' } & TransactionResponse);

export interface TransactionResponse {
  readonly succeeded: boolean;
  readonly revision: bigint;
  /** One for each operation of the branch that was taken, in its order. */
  readonly responses: readonly OperationResponse[];
}

export interface LeaseResponse {
  readonly revision: bigint;
  /** What the server granted, which need not be what was asked for. `0` from a renewal: the lease is gone. */
  readonly ttlMs: number;
}

export interface LeaseKeysResponse {
  readonly revision: bigint;
  /** What is left; `0` or less: the lease is gone. */
  readonly remainingMs: number;
  readonly keys: readonly string[];
}

export interface StatusResponse {
  readonly revision: bigint;
  /** The server's own version, such as `3.5.16`. */
  readonly version: string;
  /** What its database takes on its disk. */
  readonly dbSizeBytes: number;
  /** Whether it knows a leader. */
  readonly hasLeader: boolean;
}

export interface WatchRequest {
  readonly span: Span;
  /** The first revision whose events are wanted. */
  readonly fromRevision: bigint;
}

export type WatchEvent =
  | { readonly type: 'put'; readonly entry: KeyValue }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: bigint };

/** What a watch delivers: all events of one or more whole revisions, in order; or none, as a sign of life at `revision`. */
export interface WatchBatch {
  /** The greatest revision whose events have been delivered with this batch, or the server's revision if it has no events. */
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
}

export interface CallOptions {
  /** This one attempt's deadline, in milliseconds from now. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Store {
  range(request: RangeRequest, options: CallOptions): Promise<RangeResponse>;
  /**
   * A transaction that has a put or delete in either branch goes through raft whichever branch is taken, so its answer is never
   * stale and its revision is a proof of order.
   */
  transact(transaction: Transaction, options: CallOptions): Promise<TransactionResponse>;
  /** `reason: 'lease-exists'` if the ID is taken: after an unanswered grant of an ID chosen at random, that one has succeeded. */
  grant(lease: bigint, ttlMs: number, options: CallOptions): Promise<LeaseResponse>;
  /** Resolves also when there is no such lease: afterwards there is none. */
  revoke(lease: bigint, options: CallOptions): Promise<void>;
  /** One renewal. Never queues behind the other calls: implementations give it a path of its own. */
  renew(lease: bigint, options: CallOptions): Promise<LeaseResponse>;
  leaseKeys(lease: bigint, options: CallOptions): Promise<LeaseKeysResponse>;
  status(options: CallOptions): Promise<StatusResponse>;
  /**
   * One life of a watch: begins with an empty batch once the server has accepted it, and ends by throwing a StoreError when its
   * stream breaks (`reason: 'compacted'`, with the compact revision, if the history is gone) or when `signal` aborts. It does not
   * resume by itself: {@link follow} does.
   */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** Ends every call and watch, closes every connection. Idempotent. */
  close(): Promise<void>;
}
