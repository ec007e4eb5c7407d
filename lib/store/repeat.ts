import { fullJitterMs } from '../resilience/backoff.ts';
import type { RetryBudget } from '../resilience/retry-budget.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { isWorthRepeating, type StoreError } from './store-error.ts';

/** How the steps of a protocol are repeated. One for a coordinator, since the budget bounds all of its repeats together. */
export interface Repetition {
  /** One attempt's deadline, in milliseconds. */
  readonly attemptTimeoutMs: number;
  readonly baseMs: number;
  readonly capMs: number;
  readonly budget: RetryBudget;
}

/**
 * Does `step` until it succeeds, with full jitter between the attempts, inside the shared budget: a repeat that the budget does not
 * cover waits for long first. Rejects with the error of a permanent failure, or with `signal.reason`.
 *
 * Only for steps that are idempotent by construction. The attempt that runs when the signal aborts is waited for, since its answer is
 * better than not knowing.
 */
export async function repeat<T>(
  runtime: Runtime,
  repetition: Repetition,
  step: () => Promise<T>,
  options: {
    readonly signal?: AbortSignal | undefined;
    /** Told of every failure, before the wait. What it returns is waited for too: "until there is contact again". */
    readonly onFailure?: (error: StoreError) => Promise<void> | void;
  } = {},
): Promise<T> {
  repetition.budget.deposit();
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted();
    try {
      return await step();
    } catch (error) {
      if (!isWorthRepeating(error)) throw error;
      await abortable(Promise.resolve(options.onFailure?.(error)), options.signal);
    }
    const waitMs = repetition.budget.withdraw()
      ? fullJitterMs(attempt, repetition, () => runtime.random.uniform())
      : repetition.capMs * (0.5 + 0.5 * runtime.random.uniform());
    await sleep(runtime.clock, waitMs, options.signal);
  }
}
