/**
 * What etcd can be asked, as the model of it takes it. The port's words are the part of these that the SDK needs, so what is written in
 * them can be handed to the model as it is; the rest is for those who speak etcd's whole protocol to it (`testing/embedded/`).
 */
import type { KeyValue, RangeRequest, RangeResponse, Span } from '../store.ts';

/** Keys from `start` on and before `end`; without an end, to the last key. */
export interface Interval {
  readonly start: string;
  readonly end: string | undefined;
}

export type EtcdSpan = Span | Interval;

type SortTarget = 'key' | 'create' | 'mod' | 'version' | 'value';

export type EtcdRangeRequest = EtcdSpan &
  Omit<RangeRequest, 'key' | 'prefix' | 'sort'> & {
    /** `none`: ascending as well, but where there is a limit, among the first keys up to one more than that. */
    readonly sort?: { readonly by: SortTarget; readonly order: 'ascend' | 'descend' | 'none' };
    readonly maxModRevision?: bigint;
    readonly minCreateRevision?: bigint;
  };

export type EtcdCompare = EtcdSpan & { readonly is: '=' | '!=' | '<' | '>' } & (
    | { readonly target: 'create' | 'mod' | 'version' | 'lease'; readonly than: bigint }
    | { readonly target: 'value'; readonly than: string }
  );

export interface EtcdPut {
  readonly type: 'put';
  readonly key: string;
  readonly value: string;
  readonly lease?: bigint;
  /** Keeps the value, or the lease, that the key has. There must be such a key. */
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
  /** Whether the answer tells what was there before. */
  readonly prevKv?: boolean;
  /** Whether it is a request of its own. Etcd then looks for its lease before it looks for its key, and not the other way round. */
  readonly isAlone?: boolean;
}

export type EtcdDelete = { readonly type: 'delete'; readonly prevKv?: boolean } & EtcdSpan;

export type EtcdOperation =
  | EtcdPut
  | EtcdDelete
  | ({ readonly type: 'range' } & EtcdRangeRequest)
  | ({ readonly type: 'txn' } & EtcdTransaction);

export interface EtcdTransaction {
  readonly compare: readonly EtcdCompare[];
  readonly then: readonly EtcdOperation[];
  readonly otherwise?: readonly EtcdOperation[];
}

export type EtcdOperationResponse =
  | { readonly type: 'put'; readonly prevKv?: KeyValue }
  | { readonly type: 'delete'; readonly deleted: number; readonly prevKvs?: readonly KeyValue[] }
  | ({ readonly type: 'range' } & RangeResponse)
  | ({ readonly type: 'txn' } & EtcdTransactionResponse);

export interface EtcdTransactionResponse {
  readonly succeeded: boolean;
  readonly revision: bigint;
  readonly responses: readonly EtcdOperationResponse[];
}

export interface EtcdWatchRequest {
  readonly span: EtcdSpan;
  readonly fromRevision: bigint;
}
