import { abortable, linkSignals } from './abort.ts';
import type { Clock } from './clock.ts';

/** The reason of a signal that aborted because a deadline passed, and what {@link withinDeadline} then rejects with. */
export class DeadlineReached extends Error {
  constructor(deadlineMs: number) {
    super(`not done within ${deadlineMs} ms`);
    this.name = 'DeadlineReached';
  }
}

/**
 * Does `act` under a signal that aborts after `deadlineMs`, or with the caller's own. Settles then whatever `act` does: with
 * DeadlineReached, or with the caller's reason.
 */
export function withinDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  caller: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return underDeadline(clock, deadlineMs, caller, (signal) => abortable(act(signal), signal));
}

/**
 * As {@link withinDeadline}, but without a deadline for Infinity, and leaves the last word to `act`, which has to settle soon after its signal aborts: only it knows whether
 * something had been sent by then.
 */
export async function underDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  caller: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const cancel =
    deadlineMs === Number.POSITIVE_INFINITY
      ? () => {}
      : clock.schedule(deadlineMs, () => deadline.abort(new DeadlineReached(deadlineMs)));
  const { signal, unlink } = linkSignals(caller, deadline.signal);
  try {
    signal.throwIfAborted();
    return await act(signal);
  } finally {
    cancel();
    unlink();
  }
}

/** What `promise` comes to, or DeadlineReached after `deadlineMs`; the promise goes on. For what cannot be told to stop. */
export function settledWithin<T>(clock: Clock, deadlineMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(deadlineMs, () => reject(new DeadlineReached(deadlineMs)));
    promise.then(resolve, reject).finally(cancel);
  });
}
