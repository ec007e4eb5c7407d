import { StoreError, type StoreFailure } from '../store-error.ts';

export type RefusalName =
  | 'empty-key'
  | 'key-not-found'
  | 'value-provided'
  | 'lease-provided'
  | 'duplicate-key'
  | 'too-many-operations'
  | 'request-too-large'
  | 'compacted'
  | 'future-revision'
  | 'no-space'
  | 'lease-not-found'
  | 'lease-exists'
  | 'ttl-too-large';

/** etcd's refusals, with gRPC's code and etcd's own words for each (etcd: `api/v3rpc/rpctypes/error.go`). */
const REFUSALS: Readonly<Record<RefusalName, readonly [reason: StoreFailure, code: number, details: string]>> = {
  'empty-key': ['invalid', 3, 'etcdserver: key is not provided'],
  'key-not-found': ['invalid', 3, 'etcdserver: key not found'],
  'value-provided': ['invalid', 3, 'etcdserver: value is provided'],
  'lease-provided': ['invalid', 3, 'etcdserver: lease is provided'],
  'duplicate-key': ['invalid', 3, 'etcdserver: duplicate key given in txn request'],
  'too-many-operations': ['too-large', 3, 'etcdserver: too many operations in txn request'],
  'request-too-large': ['too-large', 3, 'etcdserver: request is too large'],
  compacted: ['compacted', 11, 'etcdserver: mvcc: required revision has been compacted'],
  'future-revision': ['future-revision', 11, 'etcdserver: mvcc: required revision is a future revision'],
  'no-space': ['quota', 8, 'etcdserver: mvcc: database space exceeded'],
  'lease-not-found': ['lease-not-found', 5, 'etcdserver: requested lease not found'],
  'lease-exists': ['lease-exists', 9, 'etcdserver: lease already exists'],
  'ttl-too-large': ['invalid', 11, 'etcdserver: too large lease TTL'],
};

/** etcd refuses the request; nothing was applied. */
export class Refusal extends StoreError {
  /** What a server says on the wire: gRPC's code and etcd's words, exactly. */
  readonly status: { readonly code: number; readonly details: string };

  /** `why` is for people, behind etcd's own words. */
  constructor(name: RefusalName, why: string, facts: { readonly compactRevision?: bigint } = {}) {
    const [reason, code, details] = REFUSALS[name];
    super(reason, 'permanent', `${details}: ${why}`, { grpcCode: code, ...facts });
    this.status = { code, details };
  }
}
