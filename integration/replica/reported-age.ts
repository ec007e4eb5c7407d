import type { ExecutionContext } from 'ava';
import type { Sample } from './stamped-writer.ts';

/** How often the readers of these tests have their freshness proved. */
export const freshnessMs = 200;

/** What holds for every sample, whatever is broken. */
export function neverTooYoung(t: ExecutionContext, samples: readonly Sample[]): void {
  const wrong = samples.filter(({ trueMs, ageMs }) => trueMs > ageMs);
  t.deepEqual(wrong, [], 'it was staler than it said');
  const unmarked = samples.filter(({ source, ageMs }) => (source === 'live') !== ageMs <= 2 * freshnessMs);
  /* Age and source are read one after the other, so one may fall on either side of the border. */
  t.true(unmarked.length <= 2, 'it is stale after twice freshnessMs, and not before');
}

/** Away since then, it grows older by the clock, and is stale in time. What was asked before may still have been answered. */
export function aged(t: ExecutionContext, samples: readonly Sample[], sinceMs: number): void {
  neverTooYoung(t, samples);
  const last = samples.at(-1);
  const awayMs = (last?.atMs ?? 0) - sinceMs;
  t.true(last !== undefined && last.ageMs >= awayMs, `${last?.ageMs} after ${awayMs}`);
  t.is(last?.source, 'stale');
}
