import type { HeldLock } from '../lock/held-lock.ts';
import type { AcquireOptions, Lockable } from '../lock/lockable.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { linger, raise } from './raise.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

const PERMITS = 2;
const SEMAPHORE = 's';
const RWLOCK = 'r';

/** Kinds of what several may have at once. */
type Kind = 'permit' | 'read' | 'write';

/** The queues that a call is about. Each slot of the semaphore is one, in which the tokens rise. */
const QUEUES: Readonly<Record<Kind, readonly string[]>> = {
  permit: [
    `semaphore/${SEMAPHORE}`,
    ...Array.from({ length: PERMITS }, (_, slot) => `semaphore-slot/${SEMAPHORE}/${slot}`),
  ],
  read: [`rwlock/${RWLOCK}`],
  write: [`rwlock/${RWLOCK}`],
};

interface Reader {
  readonly machine: Machine;
  readonly held: HeldLock;
  readonly sinceMs: number;
}

/**
 * Workers with permits of a semaphore, and with a read-write lock. A slot, and the writing side, have the invariants of a lock. R1: who
 * believes to read stands in etcd, and no writer before it.
 */
export class SharedWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  readonly #readers = new Set<Reader>();

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
  }

  start(machine: Machine, random: SeededRandom): void {
    for (let index = 0; index < 2 * this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  look(): void {
    const { cluster, history } = this.#world;
    const entries = cluster.entries(`sim/rwlock/${RWLOCK}/`);
    for (const reader of this.#readers) {
      const { machine, held, sinceMs } = reader;
      /* A hand in the store reaches who holds when it is told. */
      if (machine.host.isStopped || sinceMs <= this.#invariants.doomedAtMs || !held.isHeld()) continue;
      const { revision } = unpackToken(held.token);
      const stands = entries.some(({ createRevision }) => createRevision === revision);
      const writer = entries.find(({ key, createRevision }) => key.includes('/write/') && createRevision < revision);
      if (stands && writer === undefined) continue;
      this.#readers.delete(reader);
      history.violate(
        'R1 who reads has no writer before it',
        `${machine.name} reads by ${revision}, ${stands ? `${writer?.key} is before it` : 'its key is gone'}`,
      );
    }
  }

  async probe(machine: Machine, withinMs: number): Promise<void> {
    await Promise.all((['permit', 'read', 'write'] as const).map((kind) => this.#probe(machine, kind, withinMs)));
  }

  async #probe(machine: Machine, kind: Kind, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    await this.#calls.call(machine, 'probe', QUEUES[kind], withinMs, async () => {
      const held = await this.#calls.insist(machine, untilMs, (timeoutMs) =>
        lockOf(machine, kind).acquire({ timeoutMs, waitForRecovery: true }),
      );
      await held.release();
    });
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, this.#world.setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.isGone) return;
      const kind = random.pick(['permit', 'permit', 'read', 'read', 'write'] as const);
      if (random.chance(0.2)) await this.#try(machine, kind, random);
      else await this.#with(machine, kind, random);
    }
  }

  async #with(machine: Machine, kind: Kind, random: SeededRandom): Promise<void> {
    const { ttlMs } = this.#world.setup;
    const timeoutMs = random.chance(0.6) ? random.integer(0, 2 * ttlMs) : undefined;
    const cancelMs = random.chance(0.2) ? random.integer(0, ttlMs) : undefined;
    const withinMs = Math.min(timeoutMs ?? Infinity, cancelMs ?? Infinity);
    const options: AcquireOptions = {
      timeoutMs,
      signal: this.#calls.takenBack(machine, cancelMs),
      waitForRecovery: random.chance(0.3),
    };
    const dueMs = withinMs === Infinity ? undefined : withinMs;
    await this.#calls.call(machine, 'with', QUEUES[kind], dueMs, (operation) =>
      lockOf(machine, kind).with(async (held) => {
        operation.dueAtMs = undefined;
        await this.#use(operation, kind, held, random);
        operation.dueAtMs = this.#world.nowMs + machine.options.deadlineMs;
      }, options),
    );
  }

  async #try(machine: Machine, kind: Kind, random: SeededRandom): Promise<void> {
    const { deadlineMs } = machine.options;
    await this.#calls.call(machine, 'shared try', QUEUES[kind], deadlineMs, async (operation) => {
      const held = await lockOf(machine, kind).tryAcquire();
      if (held === undefined) return;
      operation.dueAtMs = undefined;
      await this.#use(operation, kind, held, random);
      operation.dueAtMs = this.#world.nowMs + deadlineMs;
      await held.release();
    });
  }

  async #use(
    operation: Parameters<Invariants['granted']>[0],
    kind: Kind,
    held: HeldLock,
    random: SeededRandom,
  ): Promise<void> {
    const { machine } = operation;
    this.#count(`${kind}s`);
    if (kind === 'read') {
      const reader = { machine, held, sinceMs: operation.startedAtMs };
      this.#readers.add(reader);
      await linger(this.#world, machine, random.integer(0, 600));
      this.#readers.delete(reader);
      return;
    }
    const slot = 'slot' in held ? `semaphore-slot/${SEMAPHORE}/${String(held.slot)}` : `rwlock/${RWLOCK}`;
    const hold = this.#invariants.granted(operation, slot, held);
    await raise(this.#world, machine, slot, held, random);
    hold.releasedAtMs = this.#world.nowMs;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function lockOf({ coordinator }: Machine, kind: Kind): Lockable<HeldLock> {
  if (kind === 'permit') return coordinator.semaphore(SEMAPHORE, { permits: PERMITS });
  return coordinator.readWriteLock(RWLOCK)[kind]();
}
