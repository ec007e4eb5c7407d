import type { Change } from '../replica/contents.ts';
import type { Follower } from '../replica/replica.ts';
import type { ReplicaShare } from '../replica/replicas.ts';
import { Entry } from './cached-entry.ts';

/** Who keeps keys. One for all of them: what is there for each key is there ten thousand times. */
export interface Keeper {
  /** The key has changed, and takes so many bytes more. */
  changed(changes: readonly Change[], grownBytes: number): void;
}

/** A key that an on-demand cache keeps: its share of a replica, and what to serve of it. */
export class KeptKey implements Follower {
  readonly #share: ReplicaShare;
  readonly #keeper: Keeper;
  readonly #keyBytes: number;
  readonly #unfollow: () => void;
  #entry: Entry | undefined;

  /** The share is its own from now on. Its replica has been listed. */
  constructor(key: string, share: ReplicaShare, keeper: Keeper) {
    this.#share = share;
    this.#keeper = keeper;
    this.#keyBytes = 2 * key.length;
    const [found] = this.replica.entries.values();
    this.#entry = found === undefined ? undefined : new Entry(this.replica, found);
    this.#unfollow = this.replica.follow(this);
  }

  get replica(): ReplicaShare['replica'] {
    return this.#share.replica;
  }

  /** None: there is no such key. */
  get entry(): Entry | undefined {
    return this.#entry;
  }

  /** About how much memory key and value take, at two bytes a character. */
  get bytes(): number {
    return this.#keyBytes + 2 * (this.#entry?.value.length ?? 0);
  }

  changed(changes: readonly Change[]): void {
    const before = this.bytes;
    const last = changes.at(-1);
    if (last !== undefined) this.#entry = last.type === 'put' ? new Entry(this.replica, last.entry) : undefined;
    this.#keeper.changed(changes, this.bytes - before);
  }

  /** Stops following. What was served stays as it is, and grows older. */
  release(): Promise<void> {
    this.#unfollow();
    return this.#share.release();
  }
}
