import type { HeldPartition } from '../partition/held-partition.ts';
import type { Partitions } from '../partition/partitions.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { TakenBack, type Calls } from './calls.ts';
import type { Operation } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { linger, raise } from './raise.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

const NAME = 'p';
const COUNT = 4;

const QUEUES = Array.from({ length: COUNT }, (_, partition) => `partition/${NAME}/${partition}`);

/** What the end of all work, and then the going of a member, may take beside the deadlines of what is sent, in milliseconds. */
const END_MS = 500;

/**
 * Machines that own partitions for a while, each partition with the invariants of a lock. P1: one `own` works once at a time on each. P2:
 * after the healing every partition is owned by one who is there, and everybody has just what falls to it.
 */
export class PartitionWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  /** By partition: on which machines there is work. */
  readonly #working = QUEUES.map(() => new Set<Machine>());

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
  }

  start(machine: Machine, random: SeededRandom): void {
    void this.#work(machine, random);
  }

  /** All together: who is ready first would give its share to the others. */
  async probe(machine: Machine, withinMs: number): Promise<void> {
    const { clock, history } = this.#world;
    const untilMs = this.#world.nowMs + withinMs;
    const stop = new AbortController();
    const probing = this.#calls.call(machine, 'own', QUEUES, undefined, (operation) =>
      this.#calls.insist(machine, untilMs, () => this.#own(operation, machine, stop.signal, 1_000, wait)),
    );
    const isSettled = (): boolean =>
      this.#working.every(({ size }) => size > 0) && this.#world.up.every((each) => hasItsShare(partitionsOf(each)));
    while (!isSettled() && this.#world.nowMs < untilMs) await sleep(clock, 50);
    if (!isSettled()) {
      const owners = this.#working.map((machines) => [...machines].map(({ name }) => name).join('+'));
      history.violate('P2 every partition is owned by whom it falls to', `${machine.name}: ${JSON.stringify(owners)}`);
    }
    /* Others look at the same time; nobody goes while somebody still does. */
    await sleep(clock, 100);
    stop.abort(new TakenBack('the probe is over'));
    await probing;
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    const { setup } = this.#world;
    for (;;) {
      await sleep(machine.host, random.integer(5, setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.isGone) return;
      const drainMs = random.pick([300, 1_000, 3_000]);
      const stop = new AbortController();
      await this.#calls.call(machine, 'own', QUEUES, undefined, (operation) => {
        void this.#stopLater(machine, random.integer(0, random.pick([1, 5]) * setup.ttlMs), () => {
          /* The release of the last one, and the taking back of the registration. */
          operation.dueAtMs ??= this.#world.nowMs + drainMs + 2 * machine.options.deadlineMs + END_MS;
          stop.abort(new TakenBack('the owner was told to stop'));
        });
        return this.#own(operation, machine, stop.signal, drainMs, (partition, held) =>
          this.#use(machine, partition, held, random),
        );
      });
    }
  }

  #own(
    operation: Operation,
    machine: Machine,
    signal: AbortSignal,
    drainMs: number,
    use: (partition: number, held: HeldPartition) => Promise<void>,
  ): Promise<never> {
    /* By partition: since when it can have been asked for. */
    const asked = QUEUES.map(() => operation.startedAtMs);
    const working = new Set<number>();
    return partitionsOf(machine).own(
      async (partition, held) => {
        const machines = this.#working[partition] ?? new Set();
        if (working.has(partition)) this.#world.history.violate('P1 one owner works once at a time', machine.name);
        working.add(partition);
        machines.add(machine);
        this.#count('partitions owned');
        const hold = this.#invariants.granted(operation, QUEUES[partition] ?? '', held, asked[partition]);
        try {
          await use(partition, held);
        } finally {
          working.delete(partition);
          machines.delete(machine);
          hold.releasedAtMs ??= this.#world.nowMs;
          asked[partition] = this.#world.nowMs;
        }
      },
      { signal, drainMs },
    );
  }

  /** Works until it is told to stop; some end by themselves, some fail, and some take long to stop. */
  async #use(machine: Machine, partition: number, held: HeldPartition, random: SeededRandom): Promise<void> {
    const raising = raise(this.#world, machine, QUEUES[partition] ?? '', held, random);
    await abortable(raising, held.signal).catch(() => {});
    const restMs = random.pick([0, 1_000, 5 * this.#world.setup.ttlMs]);
    await abortable(linger(this.#world, machine, restMs), held.signal).catch(() => {});
    if (held.signal.aborted) await linger(this.#world, machine, random.pick([0, 0, 200, 1_500]));
    else if (random.chance(0.3)) throw new Error('an item that cannot be done');
  }

  async #stopLater(machine: Machine, afterMs: number, stop: () => void): Promise<void> {
    await linger(this.#world, machine, afterMs);
    stop();
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function partitionsOf({ coordinator }: Machine): Partitions {
  return coordinator.partitions(NAME, { count: COUNT });
}

function hasItsShare(partitions: Partitions): boolean {
  const { owned, assigned } = partitions.standing();
  return owned.length === assigned.length;
}

async function wait(_: number, { signal }: HeldPartition): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
