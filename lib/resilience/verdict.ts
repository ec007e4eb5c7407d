import {
  CallRefusedError,
  CoordinationUnavailableError,
  HoldfastError,
  LockTimeoutError,
  OutcomeUnknownError,
} from '../errors.ts';

/**
 * What an error says of the call that failed with it.
 *
 * - `transient`: it was not done, for certain, and another attempt may succeed. The connection was refused; 429, or a 503 with Retry-After.
 * - `permanent`: it was not done, and another attempt would fail as well. The other side lives and has refused: 400, 403, 404, 409.
 * - `unknown`: it may have been done, and may still be done later. No answer in time, a lost connection, most answers from 500 on.
 */
export type Verdict = 'transient' | 'permanent' | 'unknown';

/** Node's system calls before there is a connection: nothing was sent. */
const BEFORE_SENDING = new Set(['connect', 'getaddrinfo']);

/** `fetch` hides what went wrong below a cause or two. Deeper than this it is somebody's own chain. */
const DEEPEST_CAUSE = 4;

/** The verdict on an error that nobody else has judged. What is not known not to have been done may have been. */
export function verdictOf(error: unknown): Verdict {
  if (error instanceof OutcomeUnknownError) return 'unknown';
  if (
    error instanceof CallRefusedError ||
    error instanceof CoordinationUnavailableError ||
    error instanceof LockTimeoutError
  ) {
    return 'transient';
  }
  if (error instanceof HoldfastError) return 'permanent';
  return neverConnected(error, DEEPEST_CAUSE) ? 'transient' : 'unknown';
}

/**
 * What was not done may be repeated; what may have been done, only if that has no further effect. What nobody sent, or nobody waits for, is
 * not repeated.
 */
export function mayRepeat(verdict: Verdict | 'refused' | 'cancelled', idempotent: boolean): boolean {
  return verdict === 'transient' || (verdict === 'unknown' && idempotent);
}

function neverConnected(error: unknown, depth: number): boolean {
  if (!(error instanceof Error) || depth === 0) return false;
  const { syscall, code } = error as { readonly syscall?: unknown; readonly code?: unknown };
  if (typeof syscall === 'string') return BEFORE_SENDING.has(syscall);
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return true;
  /* Several addresses were tried, as Node does for names that have more than one. */
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.every((each) => neverConnected(each, depth - 1));
  }
  return neverConnected(error.cause, depth - 1);
}
