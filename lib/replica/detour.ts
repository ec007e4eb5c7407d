import type { WatchEvent } from '../store/store.ts';

type Revision = readonly [revision: bigint, events: readonly WatchEvent[]];

/**
 * Events that lead away from what is proved, and back to it.
 *
 * A proof can be ahead of the watch. It says that the span was, at its revision, just as the replica has it now, while events up to there
 * are still on their way: a key was put and deleted again. One by one they would take the replica back to states that it has shown to be
 * over. So what comes at or below the proved revision waits until all of it together changes nothing, and then goes in at one go. If it
 * never comes to that, the proof or the watch was wrong; the first event above the proof then takes it along, and proofs find out.
 */
export class Detour {
  #waiting: Revision[] = [];

  /** Takes the next revision of the watch. Returns those that can be applied now, in order. */
  take(next: Revision, proved: bigint, has: (key: string) => boolean): readonly Revision[] {
    const [revision] = next;
    const all = [...this.#waiting, next];
    const isOver = revision > proved || leadsBack(all, has);
    this.#waiting = isOver ? [] : all;
    return isOver ? all : [];
  }
}

/** Only what is absent before and after can have changed without a trace: whatever stands shows when it was written. */
function leadsBack(revisions: readonly Revision[], has: (key: string) => boolean): boolean {
  const last = new Map<string, WatchEvent['type']>();
  for (const [, events] of revisions) {
    for (const event of events) last.set(event.type === 'put' ? event.entry.key : event.key, event.type);
  }
  return [...last].every(([key, type]) => type === 'delete' && !has(key));
}
