import { revisionOf } from '../store/follow.ts';
import type { KeyValue, WatchEvent } from '../store/store.ts';

/** What a replica tells those who follow it: one key came to be, changed, or went. */
export type Change =
  | { readonly type: 'put'; readonly entry: KeyValue; readonly resynced?: true }
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint; readonly resynced?: true };

/** The revision at which something changed; of a resync, at which it is known to be so. */
export function revisionOfChange(change: Change): bigint {
  return change.type === 'put' ? change.entry.modRevision : change.revision;
}

/** The entries of a span, and about how much memory they take. */
export class Contents {
  readonly #entries = new Map<string, KeyValue>();
  #bytes = 0;

  static of(entries: Iterable<KeyValue>): Contents {
    const contents = new Contents();
    for (const entry of entries) contents.put(entry);
    return contents;
  }

  get entries(): ReadonlyMap<string, KeyValue> {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(entry: KeyValue): void {
    this.delete(entry.key);
    this.#entries.set(entry.key, entry);
    this.#bytes += sizeOf(entry);
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#bytes -= sizeOf(entry);
    return this.#entries.delete(key);
  }

  /**
   * Applies events in order, dropping those at or below `applied`: old servers repeat events after a reconnection. A delete of what is
   * not there tells nobody anything.
   */
  apply(events: readonly WatchEvent[], applied: bigint): readonly Change[] {
    const changes: Change[] = [];
    for (const event of events) {
      if (revisionOf(event) <= applied) continue;
      if (event.type === 'put') {
        this.put(event.entry);
        changes.push({ type: 'put', entry: event.entry });
      } else if (this.delete(event.key)) {
        changes.push({ type: 'delete', key: event.key, revision: event.modRevision });
      }
    }
    return changes;
  }
}

/**
 * What leads from one state of a span to another, for those who saw the first and missed what was between: the deletes first, whose own
 * revisions nobody knows any more and which bear that of the new state, then the puts in the order of their revisions.
 */
export function difference(before: Contents, after: Contents, revision: bigint, isResync: boolean): readonly Change[] {
  const mark = isResync ? { resynced: true as const } : {};
  const deletes = [...before.entries.keys()]
    .filter((key) => !after.entries.has(key))
    .map((key): Change => ({ type: 'delete', key, revision, ...mark }));
  const puts = [...after.entries.values()]
    .filter((entry) => {
      const known = before.entries.get(entry.key);
      return known === undefined || !isSame(known, entry);
    })
    .toSorted((a, b) => (a.modRevision < b.modRevision ? -1 : a.modRevision > b.modRevision ? 1 : 0))
    .map((entry): Change => ({ type: 'put', entry, ...mark }));
  return [...deletes, ...puts];
}

/** Whether two answers about a key show the same life and the same write of it. A revision alone could be another history's. */
export function isSame(a: KeyValue, b: KeyValue): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.value === b.value
  );
}

/** The entry that was written last. */
export function newest(contents: Contents): KeyValue | undefined {
  let last: KeyValue | undefined;
  for (const entry of contents.entries.values()) {
    if (last === undefined || entry.modRevision > last.modRevision) last = entry;
  }
  return last;
}

/** Two bytes a character and what an object with four numbers costs: an estimate, for limits. */
function sizeOf(entry: KeyValue): number {
  return 2 * (entry.key.length + entry.value.length) + 96;
}
