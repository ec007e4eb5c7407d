/** What stood in the store, and when: by its log. */
import type { KeyValue } from '../../lib/store/store.ts';
import { revisionOf, type LoggedEvent } from './store-log.ts';

/** A value of a key, from its put to what ended it. */
export interface Stand {
  readonly entry: KeyValue;
  /** When the run had learnt of the put. */
  readonly at: number;
  /** It was put over another. */
  readonly isOver: boolean;
  /** Absent: it stands at the end of the log. */
  readonly end?: { readonly revision: bigint; readonly at: number };
}

/** All that stood below a prefix, in the order of the puts. */
export function standsBelow(log: readonly LoggedEvent[], prefix: string): Stand[] {
  const stands: Stand[] = [];
  /* By key, the place of what stands. */
  const standing = new Map<string, number>();
  for (const event of log) {
    const key = event.type === 'put' ? event.entry.key : event.key;
    if (!key.startsWith(prefix)) continue;
    const place = standing.get(key);
    const before = stands[place ?? -1];
    if (place !== undefined && before !== undefined) {
      stands[place] = { ...before, end: { revision: revisionOf(event), at: event.at } };
    }
    standing.delete(key);
    if (event.type !== 'put') continue;
    standing.set(key, stands.length);
    stands.push({ entry: event.entry, at: event.at, isOver: before !== undefined });
  }
  return stands;
}

/** By what `nameOf` says, in the same order. */
export function groupedBy<T>(all: readonly T[], nameOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const name = nameOf(each);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [each]);
    else group.push(each);
  }
  return groups;
}

/** Whether it stood at a revision, or came to stand after it. */
export function outlasts({ end }: Stand, revision: bigint): boolean {
  return end === undefined || end.revision > revision;
}

/** A write that somebody asked for at an instant, and the revision at which it was there. */
export interface DatedWrite {
  readonly askedAt: number;
  readonly revision: bigint;
}

/**
 * Tells a revision at which a given instant was certainly over: that of the first write that was asked for after it. The log itself says by when
 * something had happened, and this says since when. Absent: nothing was written any more.
 */
export function revisionsAfter(writes: readonly DatedWrite[]): (at: number) => bigint | undefined {
  const ordered = writes.toSorted((a, b) => a.askedAt - b.askedAt);
  const least: bigint[] = [];
  for (const [index, { revision }] of [...ordered.entries()].toReversed()) {
    const later = least[index + 1];
    least[index] = later !== undefined && later < revision ? later : revision;
  }
  return (at) => {
    let low = 0;
    let high = ordered.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((ordered[middle]?.askedAt ?? 0) > at) high = middle;
      else low = middle + 1;
    }
    return least[low];
  };
}
