/** How long to wait between attempts. */
export interface BackoffOptions {
  /** The longest wait before the second attempt, in milliseconds. It doubles with every further one. */
  readonly baseMs: number;
  /** No wait is longer than this, in milliseconds. */
  readonly capMs: number;
}

/**
 * "Full jitter": a wait drawn evenly from [0, min(cap, base · 2^attempt)). Clients that failed together come back spread over the
 * whole interval, which loads a recovering server least; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * `attempt` counts the attempts that have failed before this wait, less one: 0 before the second attempt. `random` gives a number
 * in [0, 1). The answer is whole milliseconds.
 */
export function fullJitterMs(attempt: number, options: BackoffOptions, random: () => number): number {
  /* 2 ** attempt becomes Infinity long before it is wrong, and the minimum then takes the cap. */
  const ceilingMs = Math.min(options.capMs, options.baseMs * 2 ** Math.max(0, attempt));
  return Math.floor(random() * ceilingMs);
}
