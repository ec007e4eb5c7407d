/**
 * The errors of holdfast. Each has a stable `code`, for programs, and a message, for people: what was expected, what came, what to
 * do, and what the error does *not* mean. A wrong argument is a plain `TypeError` or `RangeError` and not one of these.
 */

export type ErrorCode =
  | 'LOCK_TIMEOUT'
  | 'LOCK_LOST'
  | 'LEADERSHIP_LOST'
  | 'UNAVAILABLE'
  | 'OUTCOME_UNKNOWN'
  | 'STALE_TOKEN'
  | 'VERSION_CONFLICT'
  | 'CONFIG_INVALID'
  | 'TOO_STALE'
  | 'ACCESS_DENIED'
  | 'REVISION_REGRESSED'
  | 'LIMIT_EXCEEDED'
  | 'SELF_DEADLOCK'
  | 'WORK_STUCK'
  | 'JOB_PAUSED'
  | 'CALL_REFUSED'
  | 'NO_MEMBER'
  | 'PARTITION_MOVED'
  | 'PARTITION_COUNT'
  | 'CLOSED';

/** What every error of this package is an instance of. */
export abstract class HoldfastError extends Error {
  /** Which error it is, for programs. */
  abstract readonly code: ErrorCode;

  /** `name` is the name of the class. */
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
  }
}

/** Somebody else held the lock for as long as the caller was willing to wait. etcd answered; nothing is wrong with it. */
export class LockTimeoutError extends HoldfastError {
  readonly code = 'LOCK_TIMEOUT';
}

/**
 * The lock is not held any more, or cannot be shown to be held. Stop the work. Writes that were guarded by the token are safe
 * whatever happened; others may already have met a successor's.
 */
export class LockLostError extends HoldfastError {
  readonly code = 'LOCK_LOST';
}

/** As {@link LockLostError}, for a leadership. */
export class LeadershipLostError extends HoldfastError {
  readonly code = 'LEADERSHIP_LOST';
}

/** etcd does not answer, or cannot do what was asked for now. It says nothing about who holds what. */
export class CoordinationUnavailableError extends HoldfastError {
  readonly code = 'UNAVAILABLE';
}

/** A write was sent and no answer came. It may have been applied, and may still be applied later. */
export class OutcomeUnknownError extends HoldfastError {
  readonly code = 'OUTCOME_UNKNOWN';
}

/** A guard has seen a greater fencing token: a newer holder has reached the resource. The write was refused. */
export class StaleTokenError extends HoldfastError {
  readonly code = 'STALE_TOKEN';
  /** The name by which the guard knows it. */
  readonly resource: string;
  /** The token that was refused. */
  readonly token: bigint;
  /** The greatest token that the resource has seen. */
  readonly highest: bigint;

  /** For a guard of your own: the message is made of the details. */
  constructor(details: { readonly resource: string; readonly token: bigint; readonly highest: bigint }) {
    super(
      `The token ${details.token} is stale for ${JSON.stringify(details.resource)}, which has seen ${details.highest}. ` +
        'A newer holder has been there; nothing was written. Stop the work: this lock was lost.',
    );
    this.resource = details.resource;
    this.token = details.token;
    this.highest = details.highest;
  }

  /** With tokens as decimal text, since JSON has no bigint. */
  toJSON(): { code: string; message: string; resource: string; token: string; highest: string } {
    return {
      code: this.code,
      message: this.message,
      resource: this.resource,
      token: this.token.toString(),
      highest: this.highest.toString(),
    };
  }
}

/** A compare-and-set met another version than the caller expected. Nothing was written. */
export class VersionConflictError extends HoldfastError {
  readonly code = 'VERSION_CONFLICT';
}

/** A config value is not valid under its schema, or not JSON. */
export class ConfigInvalidError extends HoldfastError {
  readonly code = 'CONFIG_INVALID';
}

/** What is known is older than the caller allows. */
export class TooStaleError extends HoldfastError {
  readonly code = 'TOO_STALE';
}

/** etcd knows who we are, or not, and refuses: a permission, a user or a password is missing. Not retried. */
export class AccessDeniedError extends HoldfastError {
  readonly code = 'ACCESS_DENIED';
}

/** etcd's revision went back: the cluster was restored from a snapshot. What was held is given up; see docs/restore.md. */
export class RevisionRegressedError extends HoldfastError {
  readonly code = 'REVISION_REGRESSED';
}

/** Something is larger, longer or more than a stated limit. */
export class LimitExceededError extends HoldfastError {
  readonly code = 'LIMIT_EXCEEDED';
}

/** The work that holds this lock asked for it again. Locks are not re-entrant; waiting would never end. */
export class SelfDeadlockError extends HoldfastError {
  readonly code = 'SELF_DEADLOCK';
}

/** Work was told to stop and did not within the time it was given. It still runs; what it holds was not released under it. */
export class WorkStuckError extends HoldfastError {
  readonly code = 'WORK_STUCK';
}

/** The job is paused for the whole cluster, and starts nothing until it is resumed. */
export class JobPausedError extends HoldfastError {
  readonly code = 'JOB_PAUSED';
}

/**
 * A policy did not make the call: nothing was sent and nothing was done, so it may be made elsewhere, or later. It says nothing about
 * whether the call would have succeeded.
 */
export class CallRefusedError extends HoldfastError {
  readonly code = 'CALL_REFUSED';
  /** What refused it: the breaker is open, the bulkhead and its queue are full, or the time was over before there was a place. */
  readonly reason: 'breaker' | 'bulkhead' | 'deadline';
  /** When another call may be let through, in milliseconds from now, if the breaker refused it. */
  readonly retryAfterMs: number | undefined;

  /** For a policy of your own. */
  constructor(
    message: string,
    details: {
      readonly reason: 'breaker' | 'bulkhead' | 'deadline';
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, details);
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Nobody is registered who could be called. It was known from memory, and that has an age. Nothing was sent. */
export class NoMemberError extends HoldfastError {
  readonly code = 'NO_MEMBER';
}

/** The reason with which work on a partition is told to stop: the partition is another member's from now on. It is still held until the work ends. */
export class PartitionMovedError extends HoldfastError {
  readonly code = 'PARTITION_MOVED';
}

/** Other members that are there count the same partitions differently. Nothing was owned: one item would be in two partitions. */
export class PartitionCountError extends HoldfastError {
  readonly code = 'PARTITION_COUNT';
}

/** The coordinator, or this part of it, was closed. */
export class ClosedError extends HoldfastError {
  readonly code = 'CLOSED';
}
