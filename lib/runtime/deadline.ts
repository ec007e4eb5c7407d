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
export async function withinDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  caller: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const cancel = clock.schedule(deadlineMs, () => deadline.abort(new DeadlineReached(deadlineMs)));
  const { signal, unlink } = linkSignals(caller, deadline.signal);
  try {
    signal.throwIfAborted();
    return await abortable(act(signal), signal);
  } finally {
    cancel();
    unlink();
  }
}
