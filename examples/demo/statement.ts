/**
 * A statement of the books: how many transfers are applied, and what all accounts hold together. One is written for every second, on
 * schedule, by whichever worker leads the job; see statement-job.ts. Money only moves, so each of them should say the same sum.
 */

/** What the books hold, at one moment. */
export interface Total {
  readonly transfers: number;
  /** Cents. */
  readonly sum: number;
}

/** A start of the job, as (job, tick, attempt) tells it from all others. */
export interface Start {
  readonly worker: string;
  /** The instant for which it was due, such as 2026-11-23T03:00:07.000Z. Texts of this form sort as the instants do. */
  readonly tick: string;
  readonly attempt: number;
  readonly token: bigint;
}

/** A statement as it was written: for which tick, and by which start. */
export interface Statement extends Start, Total {}

export const STATEMENT_JOB = 'statement';

/** From tick to tick. */
export const TICK_MS = 1_000;

/** How often a tick is started at most: a run that was cut off is started again by the next leader. */
export const MOST_ATTEMPTS = 3;

/** How many records history keeps. */
export const HISTORY_LIMIT = 1_000;

/** What the guard knows the job by. No account can have this name. */
export const STATEMENT_FENCE: string = `job/${STATEMENT_JOB}`;

/** Where statements are written, as a worker sees it. Both calls reject with StaleTokenError, and nothing is changed then. */
export interface Statements {
  /** Shows the guard the token, and only then adds up: from here on, older starts are refused. */
  addUp(token: bigint): Promise<Total>;
  /** Idempotent by the tick, whoever repeats it: a further attempt at a tick learns that an earlier one had written its statement. */
  state(statement: Statement): Promise<'stated' | 'repeated'>;
}

/** The time of day of a tick, UTC. */
export function timeOf(tick: string): string {
  return tick.slice(11, 19);
}
