import { onAbort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';

/**
 * `answer`, or a rejection with `timedOut()` after `timeoutMs`, or with `signal.reason` as soon as the signal aborts. Leaves neither
 * timer nor listener behind. Unlike `withinDeadline` it makes no AbortController, which nobody would listen to and which would cost
 * more than all else that a call to Redis does here (measured on Node 20: 20 µs each).
 */
export function answerWithin<T>(
  clock: Clock,
  answer: Promise<T>,
  {
    timeoutMs,
    timedOut,
    signal,
  }: { readonly timeoutMs: number; readonly timedOut: () => Error; readonly signal: AbortSignal | undefined },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(timeoutMs, () => {
      stop();
      reject(timedOut());
    });
    const stop = onAbort(signal, (reason) => {
      cancel();
      reject(reason);
    });
    answer.then(resolve, reject).finally(() => {
      cancel();
      stop();
    });
  });
}
