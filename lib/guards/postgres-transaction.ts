/**
 * One transaction with a time limit, on a connection of a pool. The limit is the smaller of the deadline and the holder's remaining
 * validity, and is enforced on both sides:
 *
 * - here, by a timer and by the clock, while this process runs;
 * - by PostgreSQL, while it does not: a process that is paused cannot end its transaction, and its successor would wait for ever.
 *   No single setting covers every pause. `idle_in_transaction_session_timeout`: paused between two statements. `lock_timeout` and
 *   `statement_timeout`: a statement that waits or works. `tcp_user_timeout`: paused while a large result was being sent, which no
 *   timeout of statements interrupts. `transaction_timeout`, from PostgreSQL 17: all of these at once. All are `set local`.
 *
 * A timeout is not a failure. Until COMMIT is sent, giving up means a rollback, since the connection is closed and the server ends
 * what was open. After it was sent, only an answer tells, and without one the outcome is unknown.
 */
import { CoordinationUnavailableError, LockLostError, OutcomeUnknownError } from '../errors.ts';
import { abortable, linkSignals, onAbort } from '../runtime/abort.ts';
import { elapsedMs, type Clock, type Instant } from '../runtime/clock.ts';
import { withinDeadline } from '../runtime/deadline.ts';
import { Loan, type PostgresPool, type PostgresPoolClient } from './postgres-client.ts';

/** How far transactions see each other's doings, by PostgreSQL's names for it. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable';
const ISOLATIONS: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable'];

export function isIsolation(value: unknown): value is Isolation {
  return ISOLATIONS.some((isolation) => isolation === value);
}

/** What a lock, a leadership or a tick tells about its validity. */
export interface TransactionHolder {
  /** Milliseconds; 0 or less if it is lost. */
  remainingMs(): number;
  /** Aborts when it is lost, or when its work is to stop. */
  readonly signal?: AbortSignal | undefined;
}

export interface TransactionLimits {
  readonly held: TransactionHolder | undefined;
  readonly deadlineMs: number;
  readonly isolation: Isolation;
  readonly signal: AbortSignal | undefined;
}

/** A rollback may be what follows a deadline: it gets a little time of its own, but not as much as it likes. */
const MIN_ROLLBACK_MS = 200;
const MAX_ROLLBACK_MS = 2_000;
/** PostgreSQL keeps milliseconds in 32 bits. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export type Work<Result> = (tx: PostgresPoolClient, context: { readonly signal: AbortSignal }) => Promise<Result>;

/** Begins, works, commits. Rejects with an OutcomeUnknownError if it may have committed; any other error means that it has not. */
export async function runTransaction<Result>(
  clock: Clock,
  pool: PostgresPool,
  work: Work<Result>,
  limits: TransactionLimits,
): Promise<Result> {
  limits.held?.signal?.throwIfAborted();
  const limit = new TimeLimit(clock, limits);
  const stop = linkSignals(limits.signal, limits.held?.signal, limit.signal);
  try {
    stop.signal.throwIfAborted();
    const loan = await borrow(pool, stop.signal);
    try {
      const result = await beginAndWork(loan, work, { limit, stop: stop.signal, isolation: limits.isolation });
      await commit(loan, limit);
      loan.giveBack();
      return result;
    } catch (error) {
      await rollBack(loan, limit);
      throw error;
    }
  } finally {
    stop.unlink();
    limit.cancel();
  }
}

/** How long the transaction may take, counted from before the connection was asked for. */
class TimeLimit {
  readonly signal: AbortSignal;
  readonly cancel: () => void;
  readonly #clock: Clock;
  readonly #begunAt: Instant;
  readonly #limitMs: number;
  readonly #ofHolder: boolean;

  constructor(clock: Clock, { held, deadlineMs }: TransactionLimits) {
    // Before the validity is read: what passes in between must not be added to it.
    this.#begunAt = clock.now();
    const remainingMs = held === undefined ? Number.POSITIVE_INFINITY : held.remainingMs();
    if (!(remainingMs > 0)) throw new LockLostError('The holder is lost already: the transaction was not begun.');
    this.#clock = clock;
    this.#limitMs = Math.min(deadlineMs, remainingMs, MAX_TIMEOUT_MS);
    this.#ofHolder = remainingMs < deadlineMs;
    const controller = new AbortController();
    this.signal = controller.signal;
    this.cancel = clock.schedule(this.#limitMs, () => controller.abort(this.#error()));
  }

  get leftMs(): number {
    return Math.floor(this.#limitMs - elapsedMs(this.#begunAt, this.#clock.now()));
  }

  /** Reads the clock: a blocked event loop delivers the signal late. */
  expectTime(cause?: unknown): void {
    if (this.leftMs < 1) throw this.#error(cause);
  }

  async withinTimeToRollBack(act: () => Promise<unknown>): Promise<void> {
    const timeoutMs = Math.min(Math.max(this.leftMs, MIN_ROLLBACK_MS), MAX_ROLLBACK_MS);
    await withinDeadline(this.#clock, timeoutMs, undefined, act);
  }

  #error(cause?: unknown): Error {
    const message = `The transaction had not come to COMMIT after ${Math.floor(this.#limitMs)} ms`;
    return this.#ofHolder
      ? new LockLostError(`${message}, which was all the validity the holder had left. Nothing was written.`, { cause })
      : new CoordinationUnavailableError(`${message}. Nothing was written.`, { cause });
  }
}

/** A connection that comes after the caller has given up goes back at once. */
async function borrow(pool: PostgresPool, signal: AbortSignal): Promise<Loan> {
  const connecting = pool.connect();
  try {
    return new Loan(await abortable(connecting, signal));
  } catch (error) {
    if (signal.aborted) void connecting.then((client) => client.release()).catch(() => undefined);
    throw error;
  }
}

async function beginAndWork<Result>(
  loan: Loan,
  work: Work<Result>,
  { limit, stop, isolation }: { readonly limit: TimeLimit; readonly stop: AbortSignal; readonly isolation: Isolation },
): Promise<Result> {
  const { signal, unlink } = linkSignals(stop, loan.lost);
  // Closing the connection rejects whatever waits for its answers, ours and the work's.
  const unlisten = onAbort(signal, (reason) => loan.close(reason));
  try {
    signal.throwIfAborted();
    limit.expectTime();
    await abortable(loan.client.query(beginText(isolation, limit.leftMs)), signal);
    // Awaited also after an abort: what runs under a lock must have ended before the lock may be let go of.
    const result = await work(loan.client, { signal });
    signal.throwIfAborted();
    limit.expectTime();
    if (loan.client.getTransactionStatus?.() === 'I') throw endedByWork();
    return result;
  } catch (error) {
    if (loan.lost.aborted) limit.expectTime(loan.lost.reason);
    throw signal.aborted ? signal.reason : error;
  } finally {
    unlisten();
    unlink();
  }
}

function beginText(isolation: Isolation, leftMs: number): string {
  return `begin isolation level ${isolation};
    set local idle_in_transaction_session_timeout = ${leftMs};
    set local lock_timeout = ${leftMs};
    set local statement_timeout = ${leftMs};
    set local tcp_user_timeout = ${leftMs};
    select case when current_setting('server_version_num')::int >= 170000
      then set_config('transaction_timeout', '${leftMs}', true) end`;
}

/**
 * Only time and the connection can end the wait for the answer: by now an answer within the deadline is worth more than an early
 * "unknown". `statement_timeout` must not, since it would end the wait for a synchronous replica, and PostgreSQL then answers that
 * the commit succeeded. In a transaction that has failed, though the work caught the error, `set local` fails; COMMIT alone would
 * roll back and report success.
 */
async function commit(loan: Loan, limit: TimeLimit): Promise<void> {
  try {
    await abortable(loan.client.query('set local statement_timeout = 0; commit'), limit.signal);
  } catch (error) {
    // PostgreSQL refused, and goes on answering on the same connection: then nothing was written.
    if (isRefusal(error) && (await rollBack(loan, limit))) throw error;
    loan.close(error);
    throw new OutcomeUnknownError(
      'COMMIT was sent to PostgreSQL and not answered. The transaction may have been applied. Read before you repeat it.',
      { cause: error },
    );
  }
}

/** Whether the error is PostgreSQL's answer to COMMIT. Lost connections (08), shutdowns (57P) and 40003 are no answers. */
function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(?!08|57P|40003)[0-9A-Z]{5}$/.test(code);
}

/** Resolves to whether the server said that the transaction is over. If it does not, closing the connection ends it. */
async function rollBack(loan: Loan, limit: TimeLimit): Promise<boolean> {
  if (!loan.isOut) return false;
  try {
    await limit.withinTimeToRollBack(() => loan.client.query('rollback'));
    loan.giveBack();
    return true;
  } catch (error) {
    loan.close(error);
    return false;
  }
}

function endedByWork(): Error {
  return new OutcomeUnknownError(
    'The work ended the transaction itself, by COMMIT or ROLLBACK. What it did after that was not guarded; what of it was applied only the work can know.',
  );
}
