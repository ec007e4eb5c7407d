import {
  AccessDeniedError,
  ClosedError,
  CoordinationUnavailableError,
  LimitExceededError,
  OutcomeUnknownError,
  RevisionRegressedError,
  type HoldfastError,
} from '../errors.ts';

/**
 * What a failed call means for its write, and whether to try again.
 * - `transient`: not applied (or a read); the same call may succeed later.
 * - `permanent`: not applied; the same call will fail again until somebody changes something.
 * - `unknown`: sent and unanswered. It may have been applied, and may still be applied *later*. A timeout is not a failure.
 */
export type Outcome = 'transient' | 'permanent' | 'unknown';

export type StoreFailure =
  | 'unreachable' /* no connection, or no quorum behind it */
  | 'timeout' /* the attempt's deadline passed */
  | 'cancelled' /* the caller's signal */
  | 'tls' /* a certificate or protocol mistake, which waiting does not mend */
  | 'denied' /* a permission is missing */
  | 'unauthenticated' /* user, password or token refused */
  | 'quota' /* etcd's space quota is exceeded (NOSPACE). The write by which it is exceeded is applied nevertheless */
  | 'overloaded' /* too many requests */
  | 'too-large' /* the request or the answer is over a limit */
  | 'lease-not-found'
  | 'lease-exists'
  | 'compacted' /* the asked revision is gone from history */
  | 'future-revision' /* the asked revision has not come to be */
  | 'regressed' /* the store's revision went back: a restore */
  | 'invalid' /* etcd refused the request as malformed */
  | 'closed' /* this store was closed */
  | 'internal';

/** How a call of the {@link Store} port fails. It stays inside the package: {@link asPublicError} makes what callers see. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly reason: StoreFailure;
  readonly outcome: Outcome;
  /** gRPC's status code, where one came. */
  readonly grpcCode: number | undefined;
  /** With `compacted`: the oldest revision that is still there. */
  readonly compactRevision: bigint | undefined;

  constructor(
    reason: StoreFailure,
    outcome: Outcome,
    message: string,
    details: {
      readonly cause?: unknown;
      readonly grpcCode?: number | undefined;
      readonly compactRevision?: bigint;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.outcome = outcome;
    this.grpcCode = details.grpcCode;
    this.compactRevision = details.compactRevision;
  }
}

/** Worth repeating, where the call is idempotent. */
export function isWorthRepeating(error: unknown): error is StoreError {
  return error instanceof StoreError && error.outcome !== 'permanent';
}

/** The error that a caller of the public face sees for a store's failure while it did `what` ("acquire lock \"a\""). */
export function asPublicError(error: unknown, what: string): unknown {
  if (!(error instanceof StoreError)) return error;
  return publicError(error, what);
}

function publicError(error: StoreError, what: string): HoldfastError {
  const options = { cause: error };
  switch (error.reason) {
    case 'denied':
    case 'unauthenticated':
      return new AccessDeniedError(
        `Could not ${what}: etcd refused access (${error.message}). Check the user, its password and its role.`,
        options,
      );
    case 'tls':
      return new CoordinationUnavailableError(
        `Could not ${what}: no TLS connection to etcd (${error.message}). Check the CA, the certificate's names and the client certificate.`,
        options,
      );
    case 'quota':
      return new CoordinationUnavailableError(
        `Could not ${what}: etcd's space quota is exceeded, it takes no writes. Compact, defragment and disarm the alarm; what is held stays held.`,
        options,
      );
    case 'too-large':
      return new LimitExceededError(`Could not ${what}: ${error.message}`, options);
    case 'regressed':
      return new RevisionRegressedError(
        `Could not ${what}: ${error.message}. The cluster seems to have been restored from a snapshot; see docs/restore.md.`,
        options,
      );
    case 'closed':
      return new ClosedError(`Could not ${what}: the coordinator is closed.`, options);
    default:
      if (error.outcome === 'unknown') {
        return new OutcomeUnknownError(
          `Could not learn whether "${what}" happened: it was sent and no answer came (${error.message}). It may still be applied.`,
          options,
        );
      }
      return new CoordinationUnavailableError(`Could not ${what}: etcd does not answer (${error.message}).`, options);
  }
}
