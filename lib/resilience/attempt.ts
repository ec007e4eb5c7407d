/**
 * One attempt: the work, under a signal that aborts after the attempt's time, with the deadline of the whole call, or with the caller. It
 * settles by then whatever the work does, and never rejects.
 */
import { OutcomeUnknownError } from '../errors.ts';
import { abortable, onAbort } from '../runtime/abort.ts';
import { Ambient } from '../runtime/ambient.ts';
import { elapsedMs, type Clock } from '../runtime/clock.ts';
import { DeadlineReached } from '../runtime/deadline.ts';
import type { Evidence } from './breaker.ts';
import type { Verdict } from './verdict.ts';

/** What the work is given. */
export interface CallContext {
  /** Aborts when this attempt is given up. Pass it on to whatever takes time. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The same for all attempts of a call, so that the other side can tell a repeat from a second order. */
  readonly idempotencyKey: string;
  /** Milliseconds until this attempt is given up. Pass it on to other processes as their deadline. */
  readonly remainingMs: () => number;
}

export type Outcome<T> =
  | { readonly verdict: 'done'; readonly value: T; readonly evidence: 'alive' }
  | { readonly verdict: Verdict; readonly error: unknown; readonly evidence: Evidence }
  /** The caller went away, or the deadline of the whole call passed, while the work ran. */
  | { readonly verdict: 'given-up'; readonly error: unknown; readonly evidence: Evidence };

export interface AttemptOptions {
  readonly attempt: number;
  readonly idempotencyKey: () => string;
  /** Of the whole call. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Of the whole call. */
  readonly remainingMs: () => number;
  readonly classify: (error: unknown) => Verdict;
  /** Called once the work has really ended, which may be long after the attempt was given up. */
  readonly ended: () => void;
}

/** The attempt that a piece of code runs in, so that a call inside it cannot outlive it. */
export interface EnclosingAttempt {
  readonly signal: AbortSignal;
  readonly remainingMs: () => number;
}

interface Scope extends EnclosingAttempt {
  isOver: boolean;
}

const scope = new Ambient<Scope>();

/**
 * `undefined` once the work of that attempt has ended, too: what it left behind, such as a pool of connections that was made in its course,
 * goes on for others, and has no deadline of it any more.
 */
export function enclosingAttempt(): EnclosingAttempt | undefined {
  const enclosing = scope.get();
  return enclosing?.isOver === false ? enclosing : undefined;
}

export async function attemptOnce<T>(
  clock: Clock,
  work: (context: CallContext) => Promise<T> | T,
  { attempt, idempotencyKey, signal: call, timeoutMs, remainingMs, classify, ended }: AttemptOptions,
): Promise<Outcome<T>> {
  const startedAt = clock.now();
  const remaining = (): number => Math.max(0, Math.min(remainingMs(), timeoutMs - elapsedMs(startedAt, clock.now())));
  /* By hand and not by withinDeadline, which makes two signals more: on Node 20 each takes as long as all else here. */
  const controller = new AbortController();
  const { signal } = controller;
  const giveUp = (reason: unknown): void => controller.abort(reason);
  const cancel = clock.schedule(timeoutMs, () => giveUp(new DeadlineReached(timeoutMs)));
  const unlink = onAbort(call, giveUp);
  const context: CallContext = {
    signal,
    attempt,
    get idempotencyKey() {
      return idempotencyKey();
    },
    remainingMs: remaining,
  };
  const current: Scope = { signal, remainingMs: remaining, isOver: false };
  const working = scope.run(current, async () => work(context));
  const over = (): void => {
    current.isOver = true;
    ended();
  };
  working.then(over, over);
  try {
    return { verdict: 'done', value: await abortable(working, signal), evidence: 'alive' };
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) return judged(error, classify);
    if (!call.aborted || error !== call.reason) return { verdict: 'unknown', error, evidence: 'failing' };
    /* Half of its time is enough to hold it against the other side: else one whose callers are all in a hurry would never be left alone. */
    const isLate = error instanceof DeadlineReached && 2 * elapsedMs(startedAt, clock.now()) >= timeoutMs;
    return { verdict: 'given-up', error, evidence: isLate ? 'failing' : 'nothing' };
  } finally {
    cancel();
    unlink();
  }
}

function judged(error: unknown, classify: (error: unknown) => Verdict): Outcome<never> {
  if (error instanceof OutcomeUnknownError) return { verdict: 'unknown', error, evidence: 'failing' };
  try {
    const verdict = classify(error);
    return { verdict, error, evidence: verdict === 'permanent' ? 'alive' : 'failing' };
  } catch (mistake) {
    const both = new AggregateError(
      [error, mistake],
      'The work failed, and so did the function that classifies its error',
    );
    return { verdict: 'unknown', error: both, evidence: 'failing' };
  }
}
