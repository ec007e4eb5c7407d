import type { Runtime } from '../runtime/runtime.ts';
import { Openings } from '../store/openings.ts';
import type { Repetition } from '../store/repeat.ts';
import type { Store } from '../store/store.ts';
import { BriefLogger } from './brief-logger.ts';
import { Questions } from './questions.ts';
import { Replica, type ReplicaOptions } from './replica.ts';
import type { SnapshotFolder } from './snapshot.ts';

/** Watches that wait to be accepted: enough that the way to the server and back does not count. */
const MAX_OPENINGS = 500;

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

/**
 * The replicas of one coordinator. Those who ask for the same span in the same way share one, its watch and its proofs. What replicas
 * of single keys ask the store, they ask together; what happens to many of them, they tell the log together.
 */
export class Replicas {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #snapshots: SnapshotFolder | undefined;
  readonly #logger: BriefLogger;
  readonly #questions: Questions;
  readonly #openings = new Openings(MAX_OPENINGS);
  readonly #shared = new Map<string, Shared>();

  constructor(runtime: Runtime, store: Store, repetition: Repetition, snapshots?: SnapshotFolder) {
    this.#logger = new BriefLogger(runtime.clock, runtime.logger);
    this.#runtime = { ...runtime, logger: this.#logger };
    this.#store = store;
    this.#repetition = repetition;
    this.#snapshots = snapshots;
    this.#questions = new Questions(runtime, store);
  }

  open({ hasSnapshot = true, ...options }: ShareOptions): ReplicaShare {
    const id = idOf(options);
    let shared = this.#shared.get(id);
    if (shared === undefined) {
      const replica = new Replica(
        this.#runtime,
        this.#store,
        this.#repetition,
        options,
        this.#questions,
        this.#openings,
      );
      const detach = hasSnapshot ? this.#snapshots?.attach(replica, options.span) : undefined;
      shared = { replica, shares: 0, detach };
      this.#shared.set(id, shared);
      replica.start();
    }
    return this.#share(id, shared);
  }

  /** A share in a replica that somebody has open. */
  join(options: ReplicaOptions): ReplicaShare | undefined {
    const id = idOf(options);
    const shared = this.#shared.get(id);
    return shared === undefined ? undefined : this.#share(id, shared);
  }

  /** The store was restored: nothing that is known can be trusted. */
  resyncAll(reason: string): void {
    for (const { replica } of this.#shared.values()) replica.resync(reason);
  }

  async close(): Promise<void> {
    const all = [...this.#shared.values()];
    this.#shared.clear();
    await Promise.all(all.map(end));
    this.#logger.close();
  }

  #share(id: string, shared: Shared): ReplicaShare {
    shared.shares += 1;
    let released: Promise<void> | undefined;
    return {
      replica: shared.replica,
      release: () => {
        released ??= this.#release(id, shared);
        return released;
      },
    };
  }

  async #release(id: string, shared: Shared): Promise<void> {
    shared.shares -= 1;
    if (shared.shares > 0) return;
    if (this.#shared.get(id) === shared) this.#shared.delete(id);
    await end(shared);
  }
}

function idOf({ span, freshnessMs, maxEntries, maxBytes }: ReplicaOptions): string {
  return JSON.stringify([span, freshnessMs, maxEntries, maxBytes]);
}

async function end({ replica, detach }: Shared): Promise<void> {
  await replica.close();
  await detach?.();
}
