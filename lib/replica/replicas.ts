import type { Runtime } from '../runtime/runtime.ts';
import type { Repetition } from '../store/repeat.ts';
import type { Store } from '../store/store.ts';
import { Replica, type ReplicaOptions } from './replica.ts';
import type { SnapshotFolder } from './snapshot.ts';

/** A share in a replica, to be given back. */
export interface ReplicaShare {
  readonly replica: Replica;
  /** Closes the replica with its last share. Idempotent. */
  release(): Promise<void>;
}

export interface ShareOptions extends ReplicaOptions {
  /**
   * Whether it is also kept in the snapshot folder, where there is one. Not for what only the store itself may say (who leads), nor for
   * single keys by the thousand.
   * @default true
   */
  readonly hasSnapshot?: boolean | undefined;
}

interface Shared {
  readonly replica: Replica;
  shares: number;
  /** Ends the keeping of its snapshot. */
  readonly detach: (() => Promise<void>) | undefined;
}

/** The replicas of one coordinator. Those who ask for the same span in the same way share one, its watch and its proofs. */
export class Replicas {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #snapshots: SnapshotFolder | undefined;
  readonly #shared = new Map<string, Shared>();

  constructor(runtime: Runtime, store: Store, repetition: Repetition, snapshots?: SnapshotFolder) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#snapshots = snapshots;
  }

  open({ hasSnapshot = true, ...options }: ShareOptions): ReplicaShare {
    const id = JSON.stringify([options.span, options.freshnessMs, options.maxEntries, options.maxBytes]);
    let shared = this.#shared.get(id);
    if (shared === undefined) {
      const replica = new Replica(this.#runtime, this.#store, this.#repetition, options);
      const detach = hasSnapshot ? this.#snapshots?.attach(replica, options.span) : undefined;
      shared = { replica, shares: 0, detach };
      this.#shared.set(id, shared);
      replica.start();
    }
    const mine = shared;
    mine.shares += 1;
    let released: Promise<void> | undefined;
    return {
      replica: mine.replica,
      release: () => {
        released ??= this.#release(id, mine);
        return released;
      },
    };
  }

  /** The store was restored: nothing that is known can be trusted. */
  resyncAll(reason: string): void {
    for (const { replica } of this.#shared.values()) replica.resync(reason);
  }

  async close(): Promise<void> {
    const all = [...this.#shared.values()];
    this.#shared.clear();
    await Promise.all(all.map(end));
  }

  async #release(id: string, shared: Shared): Promise<void> {
    shared.shares -= 1;
    if (shared.shares > 0) return;
    if (this.#shared.get(id) === shared) this.#shared.delete(id);
    await end(shared);
  }
}

async function end({ replica, detach }: Shared): Promise<void> {
  await replica.close();
  await detach?.();
}
