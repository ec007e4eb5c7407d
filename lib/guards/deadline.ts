import type { Clock } from '../runtime/clock.ts';

/** A signal that aborts with `reason()` once `timeoutMs` have passed. `cancel` leaves no timer behind. */
export function deadlineSignal(
  clock: Clock,
  timeoutMs: number,
  reason: () => Error,
): { readonly signal: AbortSignal; readonly cancel: () => void } {
  const controller = new AbortController();
  const cancel = clock.schedule(timeoutMs, () => controller.abort(reason()));
  return { signal: controller.signal, cancel };
}
