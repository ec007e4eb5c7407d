import { StoreError } from '../store/store-error.ts';
import type { KeyValue, RangeRequest, RangeResponse, Span, WatchEvent } from '../store/store.ts';
import { isSame } from './contents.ts';
import type { AskOptions, Questions } from './questions.ts';

/** The history that a replica rests on is not the store's any more, or cannot be told from another. */
export class HistoryChanged extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HistoryChanged';
  }
}

/** What a replica holds: so many keys of its span, as of a revision. */
export interface Holding {
  readonly span: Span;
  readonly revision: bigint;
  readonly size: number;
}

/**
 * The last put and the last delete that a replica knows of. If both are found in history as they were, nothing that was applied has
 * been lost; if nothing else is found up to the revision that it holds, nothing has come in instead. A restored store with newer writes
 * on top shows higher revisions and would otherwise hide both: what is gone, and what was written since at revisions that the replica
 * believes to know.
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

  /**
   * Rejects with HistoryChanged if one of them is not there, and with the StoreError of a call that failed. Resolves to the revision up
   * to which nothing else has happened, where that shows: a single key that is as it was has not been written since. That is one small
   * question, which other replicas' go along with, and no compaction can hide its answer.
   */
  async check(questions: Questions, holding: Holding, options: AskOptions): Promise<bigint | undefined> {
    const { span, revision, size } = holding;
    if ('key' in span && size === 1 && this.#put !== undefined) {
      const now = await questions.ask(span, options);
      const [found] = now.entries;
      if (found !== undefined && now.revision >= revision && isSame(found, this.#put)) return now.revision;
    }
    await this.#search(questions, holding, options);
    return undefined;
  }

  async #search(questions: Questions, { span, revision, size }: Holding, options: AskOptions): Promise<void> {
    if (this.#put !== undefined) {
      const { key, modRevision } = this.#put;
      const found = await at(questions, key, modRevision, options);
      if (found === undefined || !isSame(found, this.#put)) throw forgotten(modRevision);
    }
    if (this.#deleted !== undefined) {
      const { key, modRevision } = this.#deleted;
      if ((await at(questions, key, modRevision, options)) !== undefined) throw forgotten(modRevision);
    }
    const minModRevision = (this.#put?.modRevision ?? 0n) + 1n;
    const others = await past(questions, { ...span, revision, minModRevision, limit: 1, keysOnly: true }, options);
    if (others.entries.length > 0 || others.count !== size) throw forgotten(revision);
  }
}

async function at(
  questions: Questions,
  key: string,
  revision: bigint,
  options: AskOptions,
): Promise<KeyValue | undefined> {
  return (await past(questions, { key, revision }, options)).entries[0];
}

async function past(
  questions: Questions,
  request: RangeRequest & { readonly revision: bigint },
  options: AskOptions,
): Promise<RangeResponse> {
  try {
    return await questions.ask(request, options);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.reason === 'compacted' || error.reason === 'future-revision') throw forgotten(request.revision);
    throw error;
  }
}

function forgotten(revision: bigint): HistoryChanged {
  return new HistoryChanged(`what happened at revision ${revision} is not in history any more`);
}
