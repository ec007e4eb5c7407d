/**
 * Partitioned ownership: work that is spread over the processes that do it, so that items need no lock each.
 *
 * Guarantees. A partition is owned by at most one process at a time, up to the limits that session.ts states, and its tokens rise from owner
 * to owner. Every partition is owned again soon after a member went: within its TTL, an election and a round of the others. When members come
 * and go, a partition moves only if it has to: to the one who came, or from the one who went; and not before its work has ended.
 *
 * Not guaranteed. That each has as many: who falls to whom is by chance. That a write arrives while the partition is owned: give its token
 * to a guard at the resource. That all members agree at every moment on who is there: where they do not, the wait queue of each partition
 * decides.
 */
import { expectFunction, expectOptions, expectText } from '../arguments.ts';
import type { ContestContext } from '../queue/contest.ts';
import { inspectParts, type QueueReport } from '../queue/inspect.ts';
import { Registry, type RegistryContext } from '../registry/registry.ts';
import { Calls } from '../session/calls.ts';
import { partitionOf } from './assignment.ts';
import type { PartitionWork } from './claim.ts';
import { Ownership } from './ownership.ts';
import {
  completeOwnOptions,
  completePartitionsOptions,
  type OwnOptions,
  type PartitionsOptions,
} from './partition-options.ts';

/** How this process stands; no I/O. */
export interface PartitionStanding {
  /** The partitions that it owns now. */
  readonly owned: readonly number[];
  /** Those that fall to it, as far as it knows who is there: it has them, waits for them, or is about to. */
  readonly assigned: readonly number[];
}

/** What the partitions of one coordinator share. */
export interface PartitionContext {
  readonly contest: ContestContext;
  readonly registry: RegistryContext;
  /** Those that are being owned, by name. */
  readonly owning: Map<string, Ownership>;
  /** Throws ClosedError once the coordinator closes. */
  readonly expectOpen: () => void;
}

/** How often a member proves that it has missed nobody, in milliseconds: one small call. */
const FRESHNESS_MS = 5_000;

/**
 * Work that is spread over the processes that do it, so that items need no lock each. Made by `coordinator.partitions`. A partition is owned by at most
 * one process at a time, up to the limits that the README states, and moves only when members come or go, not before its work has ended.
 */
export class Partitions {
  /** As it was given to the coordinator. */
  readonly name: string;
  /** How many there are. */
  readonly count: number;
  readonly #context: PartitionContext;
  readonly #prefix: string;

  /** @internal */
  constructor(context: PartitionContext, name: string, options: PartitionsOptions) {
    this.#prefix = context.contest.keyspace.queue('partition', name);
    this.name = name;
    this.count = completePartitionsOptions(options).count;
    this.#context = context;
  }

  /** The partition of an item, 0 to `count` - 1: by the SHA-256 of its key, so the same in every process. No I/O. */
  of(key: string): number {
    return partitionOf(expectText('key', key), this.count);
  }

  /**
   * Owns its share of the partitions. For each of them `work` is called once, and again after a pause when it ends although the partition is
   * still owned; its `held.signal` aborts when the partition is lost, is to go to another member, or all comes to an end. Its errors are
   * logged and cost that partition a pause.
   *
   * Never resolves. On its signal it tells all work to stop, waits for it, gives everything up, and rejects with `signal.reason`. Rejects
   * with PartitionCountError if members that were there before count otherwise, WorkStuckError if work goes on for `drainMs` after the
   * end, ClosedError when the coordinator closes, AccessDeniedError when etcd refuses. Throws a TypeError while this coordinator owns
   * partitions of this name already.
   */
  async own(work: PartitionWork, options: OwnOptions = {}): Promise<never> {
    expectFunction('the work of own', work);
    const { signal, drainMs } = completeOwnOptions(options);
    const { contest, registry, owning, expectOpen } = this.#context;
    expectOpen();
    signal?.throwIfAborted();
    if (owning.has(this.name)) {
      throw new TypeError(
        `Expected one owner of the partitions ${JSON.stringify(this.name)} in a coordinator, and there is one already`,
      );
    }
    const members = new Registry(
      { ...registry, leavesFirst: false },
      this.name,
      { freshnessMs: FRESHNESS_MS },
      'partition-member',
    );
    const identity = { name: this.name, count: this.count, instanceId: registry.instanceId };
    const ownership = new Ownership(contest, identity, members, work, { drainMs });
    owning.set(this.name, ownership);
    try {
      return await ownership.run(signal);
    } finally {
      owning.delete(this.name);
    }
  }

  /** What this process owns, and what falls to it. Reads the clock; no I/O. */
  standing(): PartitionStanding {
    const ownership = this.#context.owning.get(this.name);
    return { owned: ownership?.owned ?? [], assigned: ownership?.assigned ?? [] };
  }

  /** Who owns each partition and who waits for it, read through raft; of those that nobody wants there is none. Rejects as a lock's does. */
  async inspect(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ReadonlyMap<number, QueueReport>> {
    expectOptions('inspect', options, ['signal']);
    const { contest } = this.#context;
    const parts = await new Calls(contest).within(
      `inspect the partitions ${JSON.stringify(this.name)}`,
      options.signal,
      (signal) => inspectParts({ ...contest, prefix: this.#prefix, signal }),
    );
    return new Map([...parts].map(([part, report]) => [Number(part), report]));
  }
}
