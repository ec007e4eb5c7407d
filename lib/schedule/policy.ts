import type { Due, Stretch } from './cadence.ts';

/**
 * What becomes of ticks whose time came while nobody could start them: no leader, no contact, a pause, or a run that was still going on.
 * - `skip`: they are recorded as missed, but for the newest if it is late by at most 5 seconds.
 * - `last`: the newest is started, the others are recorded as missed.
 * - `all`: they are started, one after the other; the newest 100, those before them are recorded as missed.
 */
export type MissedPolicy = 'skip' | 'last' | 'all';

/** Later than this is late. A claim takes a round trip, a resignation the time of a few; a lost leader takes a lease's. */
export const ON_TIME_MS = 5_000;

/** What to do with due ticks, in one transaction: start one or none, and record some as missed. */
export interface Plan {
  readonly start: number | undefined;
  readonly missed: Stretch | undefined;
  /** The tick up to which everything is settled by it. */
  readonly upToMs: number;
}

/** The next thing to do; nothing if there is nothing due. Does not depend on how often it is asked. */
export function planFor(due: Due, policy: MissedPolicy, nowMs: number): Plan | undefined {
  const { newest, earlier } = due;
  const last = newest.at(-1);
  if (last === undefined) return undefined;
  if (policy === 'all') return { start: newest[0], missed: earlier, upToMs: newest[0] ?? last };
  const isStarted = policy === 'last' || nowMs - last <= ON_TIME_MS;
  const passedOver = isStarted ? newest.slice(0, -1) : newest;
  return { start: isStarted ? last : undefined, missed: joined(earlier, passedOver), upToMs: last };
}

function joined(earlier: Stretch | undefined, later: readonly number[]): Stretch | undefined {
  const [first] = later;
  const last = later.at(-1);
  if (first === undefined || last === undefined) return earlier;
  return { fromMs: earlier?.fromMs ?? first, toMs: last, count: (earlier?.count ?? 0) + later.length };
}
