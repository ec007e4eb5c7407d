import { expectSignal } from '../arguments.ts';
import type { Change } from '../replica/contents.ts';
import { withDecimals } from '../runtime/decimals.ts';
import { Changes } from '../sequence/changes.ts';
import type { Sequence } from '../sequence/sequence.ts';
import type { CacheChange } from './cache.ts';

/** A sequence of changes ends when its reader is so many behind. */
const MAX_WAITING_CHANGES = 10_000;

/** Those who are told what changes in one cache. */
export class CacheWatchers {
  readonly #keyOf: (full: string) => string;
  readonly #watchers = new Set<Changes<CacheChange>>();
  #isClosed = false;

  /** `keyOf`: the caller's name of a key of etcd's. */
  constructor(keyOf: (full: string) => string) {
    this.#keyOf = keyOf;
  }

  watch(signal: AbortSignal | undefined): Sequence<CacheChange> {
    const end = (watcher: Changes<CacheChange>): boolean => this.#watchers.delete(watcher);
    const watcher = new Changes(MAX_WAITING_CHANGES, end, expectSignal(signal));
    if (this.#isClosed) watcher.close();
    else if (signal?.aborted !== true) this.#watchers.add(watcher);
    return watcher;
  }

  tell(changes: readonly Change[]): void {
    if (this.#watchers.size === 0) return;
    const told = changes.map((change) => this.#told(change));
    for (const watcher of [...this.#watchers]) watcher.push(told);
  }

  /** What waits is still read; then the sequences are done. */
  close(): void {
    this.#isClosed = true;
    for (const watcher of [...this.#watchers]) watcher.close();
  }

  #told(change: Change): CacheChange {
    const mark = change.resynced === true ? { resynced: true as const } : {};
    if (change.type === 'delete') {
      return withDecimals({ type: 'delete', key: this.#keyOf(change.key), revision: change.revision, ...mark });
    }
    const { key, value, modRevision } = change.entry;
    return withDecimals({ type: 'put', key: this.#keyOf(key), value, revision: modRevision, ...mark });
  }
}
