import type { FencedLock, LockOptions } from '../lock/fenced-lock.ts';
import type { HeldLock } from '../lock/held-lock.ts';
import type { AcquireOptions } from '../lock/lockable.ts';
import { unpackToken } from '../queue/token.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Hold, Operation } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { raise } from './raise.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** Keys that go back to etcd each time, that are passed on, and that rest; shorter than what a zombie is allowed. */
const OPTIONS: readonly LockOptions[] = [{ handoff: false }, {}, {}, { lingerMs: 200 }, { lingerMs: 1_500 }];

/** Workers that take locks in every way there is, and raise a counter under them. */
export class LockWorkload implements Workload {
  readonly counts: Map<string, number> = new Map([['keys passed on', 0]]);
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
  }

  start(machine: Machine, random: SeededRandom): void {
    for (let index = 0; index < this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  /** Takes each lock once and lets it go. */
  async probe(machine: Machine, withinMs: number): Promise<void> {
    await Promise.all(this.#world.locks.map((lock) => this.#probe(machine, lock, withinMs)));
  }

  async #probe(machine: Machine, lock: string, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    await this.#calls.call(machine, 'probe', [queueOf(lock)], withinMs, async (operation) => {
      const held = await this.#calls.insist(machine, untilMs, (timeoutMs) =>
        machine.coordinator.lock(lock).acquire({ timeoutMs, waitForRecovery: true }),
      );
      this.#invariants.granted(operation, queueOf(lock), held);
      this.#invariants.letGo(held);
      await held.release();
    });
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, this.#world.setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.isGone) return;
      await this.#act(machine, random);
    }
  }

  async #act(machine: Machine, random: SeededRandom): Promise<void> {
    const lock = random.pick(this.#world.locks);
    const share = random.uniform();
    if (share < 0.4) await this.#acquire(machine, lock, random);
    else if (share < 0.6) await this.#try(machine, lock, random);
    else if (share < 0.8) await this.#with(machine, lock, random);
    else if (share < 0.9) await this.#all(machine, random);
    else if (share < 0.95)
      await Promise.all([this.#try(machine, lock, random.fork()), this.#try(machine, lock, random.fork())]);
    else await this.#inspect(machine, lock);
  }

  async #acquire(machine: Machine, lock: string, random: SeededRandom): Promise<void> {
    const { options, withinMs } = this.#draw(machine, random);
    const held = await this.#calls.call(machine, 'acquire', [queueOf(lock)], withinMs, async (operation) => {
      const held = await this.#lock(machine, lock, random).acquire(options);
      this.#granted(operation, held);
      return held;
    });
    if (held !== undefined) await this.#use(machine, held, random);
  }

  async #try(machine: Machine, lock: string, random: SeededRandom): Promise<void> {
    const cancelMs = random.chance(0.2) ? random.integer(0, machine.options.deadlineMs) : undefined;
    const withinMs = Math.min(cancelMs ?? Number.POSITIVE_INFINITY, machine.options.deadlineMs);
    const held = await this.#calls.call(machine, 'try', [queueOf(lock)], withinMs, async (operation) => {
      const held = await this.#lock(machine, lock, random).tryAcquire({
        signal: this.#calls.takenBack(machine, cancelMs),
      });
      if (held === undefined) this.#invariants.refused(operation);
      else this.#granted(operation, held);
      return held;
    });
    if (held !== undefined) await this.#use(machine, held, random);
  }

  async #with(machine: Machine, lock: string, random: SeededRandom): Promise<void> {
    const { options, withinMs } = this.#draw(machine, random);
    await this.#calls.call(machine, 'with', [queueOf(lock)], withinMs, (operation) =>
      this.#lock(machine, lock, random).with(async (held) => {
        /* The work takes as long as it takes; after it, the release has a deadline. */
        operation.dueAtMs = undefined;
        const hold = this.#granted(operation, held);
        await raise(this.#world, machine, queueOf(held.name), held, random);
        operation.dueAtMs = this.#world.nowMs + machine.options.deadlineMs;
        hold.releasedAtMs = this.#world.nowMs;
      }, options),
    );
  }

  async #all(machine: Machine, random: SeededRandom): Promise<void> {
    const { locks } = this.#world;
    const { options, withinMs } = this.#draw(machine, random);
    await this.#calls.call(machine, 'all', locks.map(queueOf), withinMs, (operation) =>
      machine.coordinator.lockAll(locks, random.pick(OPTIONS)).with(async (all) => {
        operation.dueAtMs = undefined;
        const holds = locks.map((lock) => this.#granted(operation, all.get(lock)));
        await Promise.all(
          locks.map((lock) => raise(this.#world, machine, queueOf(lock), all.get(lock), random.fork())),
        );
        operation.dueAtMs = this.#world.nowMs + locks.length * machine.options.deadlineMs;
        for (const hold of holds) hold.releasedAtMs = this.#world.nowMs;
      }, options),
    );
  }

  async #inspect(machine: Machine, lock: string): Promise<void> {
    await this.#calls.call(machine, 'inspect', [queueOf(lock)], machine.options.deadlineMs, () =>
      machine.coordinator.lock(lock).inspect(),
    );
  }

  async #use(machine: Machine, held: HeldLock, random: SeededRandom): Promise<void> {
    await raise(this.#world, machine, queueOf(held.name), held, random);
    const releasing = this.#release(machine, held);
    /* Some do not wait for it, and ask again at once. */
    if (random.chance(0.7)) await releasing;
    if (random.chance(0.1)) await this.#release(machine, held);
  }

  async #release(machine: Machine, held: HeldLock): Promise<void> {
    this.#invariants.letGo(held);
    await this.#calls.call(machine, 'release', [queueOf(held.name)], machine.options.deadlineMs, () => held.release());
  }

  #lock(machine: Machine, lock: string, random: SeededRandom): FencedLock {
    return machine.coordinator.lock(lock, random.pick(OPTIONS));
  }

  #granted(operation: Operation, held: HeldLock): Hold {
    if (unpackToken(held.token).handoff > 0)
      this.counts.set('keys passed on', (this.counts.get('keys passed on') ?? 0) + 1);
    return this.#invariants.granted(operation, queueOf(held.name), held);
  }

  #draw(machine: Machine, random: SeededRandom): { options: AcquireOptions; withinMs: number | undefined } {
    const { ttlMs } = this.#world.setup;
    const timeoutMs = random.chance(0.6) ? random.integer(0, 2 * ttlMs) : undefined;
    const cancelMs = random.chance(0.2) ? random.integer(0, ttlMs) : undefined;
    const withinMs = Math.min(timeoutMs ?? Infinity, cancelMs ?? Infinity);
    return {
      options: { timeoutMs, signal: this.#calls.takenBack(machine, cancelMs), waitForRecovery: random.chance(0.3) },
      withinMs: withinMs === Infinity ? undefined : withinMs,
    };
  }
}

function queueOf(lock: string): string {
  return `lock/${lock}`;
}
