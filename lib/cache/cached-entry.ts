import type { Replica } from '../replica/replica.ts';
import { sourceOf, type Source } from '../replica/staleness.ts';
import type { KeyValue } from '../store/store.ts';

/** A value as it was at a revision. Age and source are computed when they are read. */
export interface CachedEntry {
  /** As it stands in etcd: text. */
  readonly value: string;
  /** The revision of its last write. */
  readonly revision: bigint;
  /** Milliseconds since it was last proved to be the newest; infinite if it never was. */
  readonly ageMs: number;
  /** How it is known. */
  readonly source: Source;
  /** With the revision as decimal text, since JSON has no bigint. */
  toJSON(): { value: string; revision: string; ageMs: number; source: Source };
}

/** One object for each life of a value, so that serving it allocates nothing. */
export class Entry implements CachedEntry {
  readonly value: string;
  readonly revision: bigint;
  readonly #replica: Replica;

  constructor(replica: Replica, { value, modRevision }: KeyValue) {
    this.#replica = replica;
    this.value = value;
    this.revision = modRevision;
  }

  get ageMs(): number {
    return this.#replica.ageMs();
  }

  get source(): Source {
    return sourceOf(this.#replica);
  }

  toJSON(): ReturnType<CachedEntry['toJSON']> {
    return { value: this.value, revision: this.revision.toString(), ageMs: this.ageMs, source: this.source };
  }
}
