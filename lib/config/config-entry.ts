import type { Replica } from '../replica/replica.ts';
import { sourceOf, type Source } from '../replica/staleness.ts';
import type { DeepReadonly } from './value.ts';

/** How an entry is known; `fallback`: not from etcd at all. */
export type ConfigSource = Source | 'fallback';

/** A version of a config entry. Its age and source are computed when they are read. */
export interface ConfigEntry<T> {
  /** What the schema made of what was written, frozen. */
  readonly value: DeepReadonly<T>;
  /** 1, 2, 3, … for each entry; 0 for a fallback. */
  readonly version: number;
  /** etcd's revision of its write; `0n` for a fallback. */
  readonly revision: bigint;
  /** Milliseconds since it was last proved to be the newest; infinite if it never was. */
  readonly ageMs: number;
  /** How it is known. */
  readonly source: ConfigSource;
  /** The versions before it were not all seen by this sequence: there was a gap, or the reader was slow. */
  readonly resynced?: true;
  /** With the revision as decimal text, since JSON has no bigint. */
  toJSON(): Record<string, unknown>;
}

export class Entry<T> implements ConfigEntry<T> {
  readonly value: DeepReadonly<T>;
  readonly version: number;
  readonly revision: bigint;
  readonly resynced?: true;
  readonly #replica: Replica;

  constructor(replica: Replica, value: DeepReadonly<T>, version: number, revision: bigint, resynced = false) {
    this.#replica = replica;
    this.value = value;
    this.version = version;
    this.revision = revision;
    if (resynced) this.resynced = true;
  }

  get ageMs(): number {
    return this.#replica.ageMs();
  }

  get source(): ConfigSource {
    return this.version === 0 ? 'fallback' : sourceOf(this.#replica);
  }

  /** The same version, as one that follows a gap. */
  afterGap(): Entry<T> {
    return new Entry(this.#replica, this.value, this.version, this.revision, true);
  }

  toJSON(): Record<string, unknown> {
    const { value, version, revision, ageMs, source, resynced } = this;
    return { value, version, revision: revision.toString(), ageMs, source, ...(resynced ? { resynced } : {}) };
  }
}
