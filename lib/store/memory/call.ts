import type {
  LeaseKeysResponse,
  LeaseResponse,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  Transaction,
  TransactionResponse,
  WatchRequest,
} from '../store.ts';
import { isWrite } from './transaction.ts';

/** What a client asks of the cluster, as the rules of {@link Faults} see it. */
export type Request =
  | { readonly method: 'range'; readonly range: RangeRequest }
  | { readonly method: 'transact'; readonly transaction: Transaction }
  | { readonly method: 'grant'; readonly lease: bigint; readonly ttlMs: number }
  | { readonly method: 'revoke'; readonly lease: bigint }
  | { readonly method: 'renew'; readonly lease: bigint }
  | { readonly method: 'leaseKeys'; readonly lease: bigint }
  | { readonly method: 'status' }
  | { readonly method: 'watch'; readonly watch: WatchRequest };

export type Method = Request['method'];

export type Answer<M extends Method = Method> = {
  range: RangeResponse;
  transact: TransactionResponse;
  grant: LeaseResponse;
  revoke: void;
  renew: LeaseResponse;
  leaseKeys: LeaseKeysResponse;
  status: StatusResponse;
  watch: void;
}[M];

export type Call = Request & {
  /** Counts the calls of a cluster's clients, in the order in which they were made. */
  readonly id: number;
  /** The name of the client. */
  readonly client: string;
  /** How many revisions ago a read is answered from: a fault. */
  readonly staleBy?: number;
};

const WRITES: ReadonlySet<Method> = new Set(['grant', 'revoke', 'renew']);

/** Whether an unanswered call may have changed the store. */
export function mayWrite(request: Request): boolean {
  return request.method === 'transact' ? isWrite(request.transaction) : WRITES.has(request.method);
}
