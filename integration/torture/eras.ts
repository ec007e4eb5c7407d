/** The times between restores: each has a past of its own. */
import type { LoggedEvent } from './store-log.ts';
import type { TickRecord } from './ticks.ts';

/** A restore ends one era and begins the next, in which what came after the backup never was. No client process lives in two. */
export interface Era {
  readonly clients: readonly string[];
  /** From the beginning of the run on, by way of the backup. */
  readonly log: readonly LoggedEvent[];
  /** What the scheduled job has written down in it, or before the backup. */
  readonly records: readonly TickRecord[];
  /** Of what it began with; absent: the run began with it. `at`: when the backup was begun. */
  readonly backup?: { readonly revision: bigint; readonly at: number };
}
