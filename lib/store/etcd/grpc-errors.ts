import { StoreError, type Outcome, type StoreFailure } from '../store-error.ts';

/** How gRPC says that a call failed. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
}

/**
 * What a lost answer means. After a `read` nothing can have happened; a `write` may have been applied unless the server's answer rules it
 * out.
 */
export type CallKind = 'read' | 'write';

const CODE_NAMES: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** A reason, and the outcome for a read and for a write. */
type Verdict = readonly [reason: StoreFailure, read: Outcome, write: Outcome];

/** etcd's own words are more exact than the code they come with (etcd: api/v3rpc/rpctypes/error.go). The first match counts. */
const BY_MESSAGE: readonly (readonly [pattern: RegExp, verdict: Verdict])[] = [
  [/requested lease not found/, ['lease-not-found', 'permanent', 'permanent']],
  [/lease already exists/, ['lease-exists', 'permanent', 'permanent']],
  [/required revision has been compacted/, ['compacted', 'permanent', 'permanent']],
  [/required revision is a future revision/, ['future-revision', 'permanent', 'permanent']],
  [/database space exceeded/, ['quota', 'permanent', 'permanent']],
  [/too many requests/, ['overloaded', 'transient', 'transient']],
  /* Refused before it was done: by the server's limit, or by our own channel's. */
  [/request is too large|too many operations/, ['too-large', 'permanent', 'permanent']],
  [/grpc: received message larger than max|attempted to send message/i, ['too-large', 'permanent', 'permanent']],
  /* The *answer* was too large: the request has been done. */
  [/received message larger than max|trying to send message larger than max/i, ['too-large', 'permanent', 'unknown']],
  [/permission denied/, ['denied', 'permanent', 'permanent']],
  /* A token that has expired, or is older than the last change of users and roles; a new one is worth a try. */
  [/invalid auth token|revision of auth store is old/, ['unauthenticated', 'transient', 'transient']],
  [/authentication failed|user name is empty/, ['unauthenticated', 'permanent', 'permanent']],
  /* From the server's interceptor, before the request is looked at; what fails later is "request timed out". */
  [/etcdserver: no leader|etcdserver: not capable/, ['unreachable', 'transient', 'transient']],
  [/corrupt cluster/, ['internal', 'permanent', 'permanent']],
];

const BY_CODE: readonly Verdict[] = [
  /*  0 OK, as an error */ ['internal', 'transient', 'unknown'],
  /*  1 CANCELLED, by the other side */ ['unreachable', 'transient', 'unknown'],
  /*  2 UNKNOWN */ ['internal', 'transient', 'unknown'],
  /*  3 INVALID_ARGUMENT */ ['invalid', 'permanent', 'permanent'],
  /*  4 DEADLINE_EXCEEDED */ ['timeout', 'transient', 'unknown'],
  /*  5 NOT_FOUND */ ['invalid', 'permanent', 'permanent'],
  /*  6 ALREADY_EXISTS */ ['invalid', 'permanent', 'permanent'],
  /*  7 PERMISSION_DENIED */ ['denied', 'permanent', 'permanent'],
  /*  8 RESOURCE_EXHAUSTED, not in etcd's words */ ['overloaded', 'transient', 'unknown'],
  /*  9 FAILED_PRECONDITION */ ['invalid', 'permanent', 'permanent'],
  /* 10 ABORTED, which etcd does not send */ ['internal', 'transient', 'unknown'],
  /* 11 OUT_OF_RANGE */ ['invalid', 'permanent', 'permanent'],
  /* 12 UNIMPLEMENTED */ ['invalid', 'permanent', 'permanent'],
  /* 13 INTERNAL */ ['internal', 'transient', 'unknown'],
  /* 14 UNAVAILABLE */ ['unreachable', 'transient', 'unknown'],
  /* 15 DATA_LOSS, not in etcd's words */ ['internal', 'permanent', 'unknown'],
  /* 16 UNAUTHENTICATED, not in etcd's words */ ['unauthenticated', 'permanent', 'permanent'],
];

const UNHEARD_OF: Verdict = ['internal', 'transient', 'unknown'];

/** What a failed call means: by etcd's message first, then by gRPC's code. `where` is the endpoint, for the message. */
export function classify(kind: CallKind, status: GrpcStatus, where: string): StoreError {
  const [reason, read, write] =
    BY_MESSAGE.find(([pattern]) => pattern.test(status.details))?.[1] ?? BY_CODE[status.code] ?? UNHEARD_OF;
  const name = CODE_NAMES[status.code] ?? `code ${status.code}`;
  return new StoreError(reason, kind === 'read' ? read : write, `${status.details} (${name} from ${where})`, {
    grpcCode: status.code,
  });
}

/**
 * Whether a new token, or a first one, may help. In each of these cases etcd has refused the call unseen, so that it may be repeated even
 * if it writes. "user name is empty" comes when authentication was switched on after we had connected without a token; to a client with a
 * certificate it is "permission denied", since etcd then takes it for the user whom the certificate names.
 */
export function isStaleToken({ details }: GrpcStatus, token: string | undefined): boolean {
  return (
    /invalid auth token|revision of auth store is old|user name is empty/.test(details) ||
    (token === undefined && /permission denied/.test(details))
  );
}

/** The failure says something about the member or the way to it, rather than about the call. */
export function isMemberSuspect(error: StoreError): boolean {
  return (
    error.reason === 'unreachable' ||
    error.reason === 'timeout' ||
    error.reason === 'tls' ||
    error.reason === 'internal'
  );
}
