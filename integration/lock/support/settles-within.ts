import { setTimeout as sleep } from 'node:timers/promises';
import { type ExecutionContext } from 'ava';

/** What every call is allowed beyond its deadline. */
const ALLOWED_MS = 250;

const STEP_MS = 50;

export type Settled<T> = { readonly value: T } | { readonly error: unknown };

/**
 * Asserts that `call` settles by its deadline + 250 ms, whichever way, and gives how it did.
 *
 * The time is told by short timers one after the other in the same process, which are late whenever the call's own timers are: on a
 * busy machine this clock is slow by just that.
 */
export async function settlesWithin<T>(
  t: ExecutionContext,
  what: string,
  deadlineMs: number,
  call: () => Promise<T>,
): Promise<Settled<T>> {
  const progress = { settled: false };
  const startedAt = performance.now();
  const settling = call()
    .then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    .finally(() => (progress.settled = true));
  for (let toldMs = 0; toldMs < deadlineMs + ALLOWED_MS && !progress.settled; toldMs += STEP_MS) await sleep(STEP_MS);
  const inTime = progress.settled;
  const outcome = await settling;
  const tookMs = Math.round(performance.now() - startedAt);
  t.true(inTime, `${what} settled after ${tookMs} ms, which is later than ${deadlineMs} + ${ALLOWED_MS}`);
  return outcome;
}
