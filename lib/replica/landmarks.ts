import { StoreError } from '../store/store-error.ts';
import type { CallOptions, KeyValue, Store, WatchEvent } from '../store/store.ts';
import { isSame } from './contents.ts';

/** The history that a replica rests on is not the store's any more, or cannot be told from another. */
export class HistoryChanged extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HistoryChanged';
  }
}

/**
 * The last put and the last delete that a replica knows of. If both are found in history as they were, nothing that was applied has
 * been lost. A restored store with newer writes on top shows higher revisions and would otherwise hide what is gone.
 */
export class Landmarks {
  readonly #put: KeyValue | undefined;
  readonly #deleted: { readonly key: string; readonly modRevision: bigint } | undefined;

  constructor(put?: KeyValue, deleted?: { readonly key: string; readonly modRevision: bigint }) {
    this.#put = put;
    this.#deleted = deleted;
  }

  after(event: WatchEvent): Landmarks {
    return event.type === 'put' ? new Landmarks(event.entry, this.#deleted) : new Landmarks(this.#put, event);
  }

  /** Rejects with HistoryChanged if one of them is not there, and with the StoreError of a call that failed. */
  async check(store: Store, options: CallOptions): Promise<void> {
    if (this.#put !== undefined) {
      const { key, modRevision } = this.#put;
      const found = await at(store, key, modRevision, options);
      if (found === undefined || !isSame(found, this.#put)) throw forgotten(modRevision);
    }
    if (this.#deleted !== undefined) {
      const { key, modRevision } = this.#deleted;
      if ((await at(store, key, modRevision, options)) !== undefined) throw forgotten(modRevision);
    }
  }
}

async function at(store: Store, key: string, revision: bigint, options: CallOptions): Promise<KeyValue | undefined> {
  try {
    return (await store.range({ key, revision }, options)).entries[0];
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.reason === 'compacted' || error.reason === 'future-revision') throw forgotten(revision);
    throw error;
  }
}

function forgotten(revision: bigint): HistoryChanged {
  return new HistoryChanged(`what happened at revision ${revision} is not in history any more`);
}
