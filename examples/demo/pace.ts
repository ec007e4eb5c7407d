/**
 * The demo's config entry: how fast to work. Workers and operator check it with the same schema, so nobody can set what others cannot
 * read. Every worker has it in memory, and reads it there for each transfer and for whoever asks (quotes.ts).
 */
import type { Config, Coordinator } from 'holdfast';
/* Any Standard Schema does. This one loads fast, and the demo starts five processes. */
import * as v from 'valibot';

export interface Pace {
  /** About how long a transfer takes when nobody is in its way, in milliseconds. */
  readonly transferMs: number;
}

const schema = v.object({ transferMs: v.pipe(v.number(), v.integer(), v.minValue(1)) });

/** How often a worker has it proved that no newer version exists. An outage of seconds should show; the default is 5,000. */
const FRESHNESS_MS = 500;

/** Older than that, and an answer calls itself stale. */
export const LIVE_MS: number = 2 * FRESHNESS_MS;

export function openPace(coordinator: Coordinator): Config<Pace, Pace> {
  return coordinator.config('pace', { schema, freshnessMs: FRESHNESS_MS });
}
