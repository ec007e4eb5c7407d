/*
 * etcd's messages (`rpc.proto`, `kv.proto`) as they arrive and as they are sent here. Integers of 64 bits are decimal strings, enums
 * their names; in what arrives every field is there, and a missing message is null.
 */
type Int64 = string;

export interface Header {
  readonly cluster_id?: Int64;
  readonly member_id?: Int64;
  readonly revision?: Int64;
  readonly raft_term?: Int64;
}

export interface KeyValueMessage {
  readonly key: Buffer;
  readonly value?: Buffer;
  readonly create_revision?: Int64;
  readonly mod_revision: Int64;
  readonly version?: Int64;
  readonly lease?: Int64;
}

export interface Interval {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

export interface RangeRequest extends Interval {
  readonly limit: Int64;
  readonly revision: Int64;
  /** A number where a client sends one that has no name. */
  readonly sort_order: 'None' | 'Ascend' | 'Descend' | number;
  readonly sort_target: 'Key' | 'Version' | 'Create' | 'Mod' | 'Value' | number;
  readonly keys_only: boolean;
  readonly count_only: boolean;
  readonly min_mod_revision: Int64;
  readonly max_mod_revision: Int64;
  readonly min_create_revision: Int64;
  readonly max_create_revision: Int64;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValueMessage[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutRequest {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease: Int64;
  readonly prev_kv: boolean;
  readonly ignore_value: boolean;
  readonly ignore_lease: boolean;
}

export interface PutResponse {
  readonly header: Header;
  readonly prev_kv: KeyValueMessage | null;
}

export interface DeleteRangeRequest extends Interval {
  readonly prev_kv: boolean;
}

export interface DeleteRangeResponse {
  readonly header: Header;
  readonly deleted: number;
  readonly prev_kvs: readonly KeyValueMessage[];
}

export interface CompareMessage extends Interval {
  readonly result: 'Equal' | 'Greater' | 'Less' | 'NotEqual';
  readonly target: 'Version' | 'Create' | 'Mod' | 'Value' | 'Lease';
  /** One of these at most. */
  readonly version?: Int64;
  readonly create_revision?: Int64;
  readonly mod_revision?: Int64;
  readonly value?: Buffer;
  readonly lease?: Int64;
}

/** One of these, or none. */
export interface RequestOp {
  readonly request_range?: RangeRequest | null;
  readonly request_put?: PutRequest | null;
  readonly request_delete_range?: DeleteRangeRequest | null;
  readonly request_txn?: TxnRequest | null;
}

export interface TxnRequest {
  readonly compare: readonly CompareMessage[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export type ResponseOp =
  | { readonly response_range: RangeResponse }
  | { readonly response_put: PutResponse }
  | { readonly response_delete_range: DeleteRangeResponse }
  | { readonly response_txn: TxnResponse };

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface WatchCreateRequest extends Interval {
  readonly start_revision: Int64;
  readonly progress_notify: boolean;
  readonly filters: readonly ('Noput' | 'Nodelete')[];
  readonly prev_kv: boolean;
  readonly watch_id: Int64;
  readonly fragment: boolean;
}

/** One of these, or none. */
export interface WatchRequest {
  readonly create_request?: WatchCreateRequest | null;
  readonly cancel_request?: { readonly watch_id: Int64 } | null;
  readonly progress_request?: object | null;
}

export interface EventMessage {
  readonly type: 'Put' | 'Delete';
  readonly kv: KeyValueMessage;
  readonly prev_kv?: KeyValueMessage;
}

export interface WatchResponse {
  readonly header: Header;
  readonly watch_id: Int64;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compact_revision?: Int64;
  readonly cancel_reason?: string;
  readonly fragment?: boolean;
  readonly events?: readonly EventMessage[];
}
