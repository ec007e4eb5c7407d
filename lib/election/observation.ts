import { revisionOfChange, type Change } from '../replica/contents.ts';
import type { Follower, Replica } from '../replica/replica.ts';
import type { ReplicaShare } from '../replica/replicas.ts';
import { linkSignals } from '../runtime/abort.ts';
import { Changes } from '../sequence/changes.ts';
import type { Sequence } from '../sequence/sequence.ts';
import { asPublicError } from '../store/store-error.ts';
import type { KeyValue } from '../store/store.ts';
import type { Leader } from './leader.ts';

/** So many leaders may wait for a slow reader; then it gets the present one. */
const MAX_WAITING = 1_000;

/**
 * Who leads, told over time: the first contender of the queue, as of every revision that changed it, and `undefined` while there is none.
 * Only what the store itself has said at some revision is told; over a gap, only how things are now.
 */
export class Observation implements Follower {
  readonly sequence: Sequence<Leader | undefined>;
  readonly #changes: Changes<Leader | undefined>;
  readonly #share: ReplicaShare;
  readonly #replica: Replica;
  readonly #describe: (entry: KeyValue, signal: AbortSignal) => Promise<Leader>;
  readonly #name: string;
  readonly #ended = new AbortController();
  readonly #unfollow: () => void;
  #contenders = new Map<string, KeyValue>();
  #hasBegun = false;
  /** The one that was put among the steps last. */
  #last: KeyValue | undefined;
  #steps: (KeyValue | undefined)[] = [];
  #isTelling = false;

  constructor(
    share: ReplicaShare,
    name: string,
    describe: (entry: KeyValue, signal: AbortSignal) => Promise<Leader>,
    caller: AbortSignal | undefined,
    opened: Set<{ close(): Promise<void> }>,
  ) {
    this.#share = share;
    this.#replica = share.replica;
    this.#name = name;
    this.#describe = describe;
    const { signal, unlink } = linkSignals(caller, this.#ended.signal);
    const end = (): void => {
      unlink();
      this.#unfollow?.();
      this.#ended.abort(new Error('nobody observes any more'));
      void this.#share.release();
      opened.delete(this);
    };
    this.#changes = new Changes(MAX_WAITING, end, signal, 'keep-newest');
    this.sequence = this.#changes;
    this.#unfollow = this.#replica.follow(this);
    /* The caller's signal can have aborted before. */
    if (this.#ended.signal.aborted) this.#unfollow();
    else opened.add(this);
    if (this.#replica.origin === 'store') this.changed([]);
    else this.#replica.reached(0n, this.#ended.signal).catch((error: unknown) => this.#fail(error));
  }

  /** Told of whole revisions, in order; the first time, of everything there is. */
  changed(changes: readonly Change[]): void {
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#contenders = new Map(this.#replica.entries);
      this.#step(true);
      return;
    }
    for (const group of byRevision(changes)) {
      for (const change of group) {
        if (change.type === 'put') this.#contenders.set(change.entry.key, change.entry);
        else this.#contenders.delete(change.key);
      }
      this.#step(false);
    }
  }

  close(): Promise<void> {
    this.#changes.close();
    return this.#share.release();
  }

  #step(isFirst: boolean): void {
    let leader: KeyValue | undefined;
    for (const entry of this.#contenders.values()) {
      if (leader === undefined || isBefore(entry, leader)) leader = entry;
    }
    const isSame =
      leader?.key === this.#last?.key &&
      leader?.createRevision === this.#last?.createRevision &&
      leader?.value === this.#last?.value;
    if (isSame && !isFirst) return;
    this.#last = leader;
    this.#steps.push(leader);
    if (this.#steps.length > MAX_WAITING) this.#steps = this.#steps.slice(-1);
    if (!this.#isTelling) void this.#tell();
  }

  /** In order, although who it is has to be asked for. */
  async #tell(): Promise<void> {
    this.#isTelling = true;
    try {
      while (this.#steps.length > 0) {
        const entry = this.#steps.shift();
        const leader = entry === undefined ? undefined : await this.#describe(entry, this.#ended.signal);
        this.#changes.push([leader]);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isTelling = false;
    }
  }

  #fail(error: unknown): void {
    if (!this.#ended.signal.aborted) this.#ended.abort(asPublicError(error, `observe the ${this.#name}`));
  }
}

/** Contenders with one create revision, put by one transaction of somebody else's, are in the order of their keys. */
function isBefore(a: KeyValue, b: KeyValue): boolean {
  return a.createRevision < b.createRevision || (a.createRevision === b.createRevision && a.key < b.key);
}

/** The changes of one revision are one step, and so is a resync, whose parts never were apart. */
function byRevision(changes: readonly Change[]): (readonly Change[])[] {
  const groups: Change[][] = [];
  let last: bigint | 'resync' | undefined;
  for (const change of changes) {
    const id = change.resynced === true ? 'resync' : revisionOfChange(change);
    if (id === last) groups.at(-1)?.push(change);
    else groups.push([change]);
    last = id;
  }
  return groups;
}
