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
  /** A revision at which the put stood: later than its own where it was listed, since that one may be compacted long ago. */
  readonly #stoodAt: bigint;

  constructor(
    put: KeyValue | undefined,
    stoodAt: bigint,
    deleted?: { readonly key: string; readonly modRevision: bigint },
  ) {
    this.#put = put;
    this.#stoodAt = stoodAt;
    this.#deleted = deleted;
  }

  after(event: WatchEvent): Landmarks {
    if (event.type === 'put') return new Landmarks(event.entry, event.entry.modRevision, this.#deleted);
    return new Landmarks(this.#put, this.#stoodAt, event);
  }

  /**
   * Up to which revision a single key has not been written, if it is as it was: that is one small question, which other replicas' go along
   * with, and no compaction can hide its answer. `undefined` where that does not show. Rejects with the StoreError of a call that failed.
   */
  async unchanged(
    questions: Questions,
    { span, revision, size }: Holding,
    options: AskOptions,
  ): Promise<bigint | undefined> {
    if (!('key' in span) || size !== 1 || this.#put === undefined) return undefined;
    const now = await questions.ask(span, options);
    const [found] = now.entries;
    return found !== undefined && now.revision >= revision && isSame(found, this.#put) ? now.revision : undefined;
  }

  /** Rejects with HistoryChanged if one of them is not there, and with the StoreError of a call that failed. */
  async check(questions: Questions, holding: Holding, options: AskOptions): Promise<void> {
    const { span, revision, size } = holding;
    if ('key' in span && size === 0) {
      /* A key that is not there: asked together with those of other replicas, and what was there meanwhile is gone. */
      const { entries, revision: at } = await questions.ask({ ...span, keysOnly: true }, options);
      if (entries.length === 0 && at >= revision) return;
    }
    if ((await this.unchanged(questions, holding, options)) !== undefined) return;
    const minModRevision = (this.#put?.modRevision ?? 0n) + 1n;
    const [put, deleted, others] = await Promise.all([
      this.#put && past(questions, { key: this.#put.key, revision: this.#stoodAt }, options),
      this.#deleted && past(questions, lookFor(this.#deleted), options),
      past(questions, { ...span, revision, minModRevision, limit: 1, keysOnly: true }, options),
    ]);
    const hasPut = this.#put === undefined || isSameAs(put?.entries[0], this.#put);
    const hasDeleted = deleted === undefined || deleted.entries.length === 0;
    if (!hasPut || !hasDeleted || others.entries.length > 0 || others.count !== size) throw forgotten(revision);
  }
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

function lookFor({ key, modRevision }: { readonly key: string; readonly modRevision: bigint }) {
  return { key, revision: modRevision, keysOnly: true };
}

function isSameAs(found: KeyValue | undefined, known: KeyValue): boolean {
  return found !== undefined && isSame(found, known);
}

function forgotten(revision: bigint): HistoryChanged {
  return new HistoryChanged(`what was there at revision ${revision} is not in history any more`);
}
