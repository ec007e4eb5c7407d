import {
  ClosedError,
  CoordinationUnavailableError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
} from '../errors.ts';
import type { AcquireOptions } from '../lock/fenced-lock.ts';
import type { HeldLock } from '../lock/held-lock.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Operation, Verb } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** The reason with which a worker takes its call back. */
class TakenBack extends Error {
  override readonly name = 'TakenBack';
}

/** After this long a worker does not wait any longer for the answer to its write; the write is under way all the same. */
const WRITE_PATIENCE_MS = 300;

/** What each call may reject with. Anything else is a bug. */
const EXPECTED: Readonly<Record<Verb, readonly (new (...args: never[]) => Error)[]>> = {
  acquire: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError],
  probe: [],
  try: [CoordinationUnavailableError, TakenBack, ClosedError],
  with: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  all: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  release: [OutcomeUnknownError],
  inspect: [CoordinationUnavailableError, ClosedError],
  close: [],
};

/** Workers that take locks in every way there is, and raise a counter under them. */
export class Workload {
  readonly #world: World;
  readonly #invariants: Invariants;

  constructor(world: World, invariants: Invariants) {
    this.#world = world;
    this.#invariants = invariants;
  }

  /** Sets workers to work on a machine, until the world is healed or the machine is gone. */
  start(machine: Machine, random: SeededRandom): void {
    for (let index = 0; index < this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  /** Takes a lock once and lets it go: it has to succeed within `withinMs`. */
  async probe(machine: Machine, lock: string, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    await this.#call(machine, 'probe', [lock], withinMs, async (operation) => {
      const held = await this.#insist(machine, lock, untilMs);
      this.#invariants.granted(operation, held);
      this.#invariants.letGo(held);
      await held.release();
    });
  }

  /** An outage that is over may be known as one for a little longer. */
  async #insist(machine: Machine, lock: string, untilMs: number): Promise<HeldLock> {
    for (;;) {
      try {
        const timeoutMs = untilMs - this.#world.nowMs;
        return await machine.coordinator.lock(lock).acquire({ timeoutMs, waitForRecovery: true });
      } catch (error) {
        if (!(error instanceof CoordinationUnavailableError) || this.#world.nowMs >= untilMs) throw error;
        await sleep(machine.host, 100);
      }
    }
  }

  async close(machine: Machine, drainMs: number): Promise<void> {
    machine.state = 'closing';
    /* What drains, then one attempt to revoke; see SessionKeeper.close. */
    const withinMs = drainMs + machine.options.timeoutMs;
    await this.#call(machine, 'close', [], withinMs, () => machine.coordinator.close({ drainMs }));
    machine.state = 'closed';
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, 700));
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
    const held = await this.#call(machine, 'acquire', [lock], withinMs, async (operation) => {
      const held = await machine.coordinator.lock(lock).acquire(options);
      this.#invariants.granted(operation, held);
      return held;
    });
    if (held !== undefined) await this.#use(machine, held, random);
  }

  async #try(machine: Machine, lock: string, random: SeededRandom): Promise<void> {
    const cancelMs = random.chance(0.2) ? random.integer(0, machine.options.deadlineMs) : undefined;
    const withinMs = Math.min(cancelMs ?? Number.POSITIVE_INFINITY, machine.options.deadlineMs);
    const held = await this.#call(machine, 'try', [lock], withinMs, async (operation) => {
      const held = await machine.coordinator.lock(lock).tryAcquire({ signal: this.#cancelled(machine, cancelMs) });
      if (held === undefined) this.#invariants.refused(operation);
      else this.#invariants.granted(operation, held);
      return held;
    });
    if (held !== undefined) await this.#use(machine, held, random);
  }

  async #with(machine: Machine, lock: string, random: SeededRandom): Promise<void> {
    const { options, withinMs } = this.#draw(machine, random);
    await this.#call(machine, 'with', [lock], withinMs, (operation) =>
      machine.coordinator.lock(lock).with(async (held) => {
        /* The work takes as long as it takes; after it, the release has a deadline. */
        operation.dueAtMs = undefined;
        const hold = this.#invariants.granted(operation, held);
        await this.#raise(machine, held, random);
        operation.dueAtMs = this.#world.nowMs + machine.options.deadlineMs;
        hold.releasedAtMs = this.#world.nowMs;
      }, options),
    );
  }

  async #all(machine: Machine, random: SeededRandom): Promise<void> {
    const { locks } = this.#world;
    const { options, withinMs } = this.#draw(machine, random);
    await this.#call(machine, 'all', locks, withinMs, (operation) =>
      machine.coordinator.lockAll(locks).with(async (all) => {
        operation.dueAtMs = undefined;
        const holds = locks.map((lock) => this.#invariants.granted(operation, all.get(lock)));
        await Promise.all(locks.map((lock) => this.#raise(machine, all.get(lock), random.fork())));
        operation.dueAtMs = this.#world.nowMs + locks.length * machine.options.deadlineMs;
        for (const hold of holds) hold.releasedAtMs = this.#world.nowMs;
      }, options),
    );
  }

  async #inspect(machine: Machine, lock: string): Promise<void> {
    await this.#call(machine, 'inspect', [lock], machine.options.deadlineMs, () =>
      machine.coordinator.lock(lock).inspect(),
    );
  }

  async #use(machine: Machine, held: HeldLock, random: SeededRandom): Promise<void> {
    await this.#raise(machine, held, random);
    const releasing = this.#release(machine, held);
    /* Some do not wait for it, and ask again at once. */
    if (random.chance(0.7)) await releasing;
    if (random.chance(0.1)) await this.#release(machine, held);
  }

  async #release(machine: Machine, held: HeldLock): Promise<void> {
    this.#invariants.letGo(held);
    await this.#call(machine, 'release', [held.name], machine.options.deadlineMs, () => held.release());
  }

  /** Reads the counter, works, and writes it plus one. Some stop when the lock is lost; the careless ones write whatever happened. */
  async #raise(machine: Machine, held: HeldLock, random: SeededRandom): Promise<void> {
    const { register, setup } = this.#world;
    const { name, token } = held;
    const read = await register.read(machine, name, token, random.integer(1, 15));
    await this.#linger(
      machine,
      random.chance(this.#world.longHolds) ? random.integer(0, 3 * setup.ttlMs) : random.integer(0, 400),
    );
    const isCareless = random.chance(0.5);
    if (!isCareless && !held.isHeld()) return;
    const isHealed = this.#world.healedAtMs !== undefined;
    const delayMs = random.chance(0.1) && !isHealed ? random.integer(0, 1.5 * setup.ttlMs) : random.integer(1, 15);
    await Promise.race([register.write(machine, name, token, read, delayMs), sleep(machine.host, WRITE_PATIENCE_MS)]);
  }

  /** Works for a while, in small steps, and comes to an end soon once the world is healed. */
  async #linger(machine: Machine, durationMs: number): Promise<void> {
    for (let leftMs = durationMs; leftMs > 0 && this.#world.healedAtMs === undefined; leftMs -= 100) {
      await sleep(machine.host, Math.min(100, leftMs));
    }
  }

  #draw(machine: Machine, random: SeededRandom): { options: AcquireOptions; withinMs: number | undefined } {
    const { ttlMs } = this.#world.setup;
    const timeoutMs = random.chance(0.6) ? random.integer(0, 2 * ttlMs) : undefined;
    const cancelMs = random.chance(0.2) ? random.integer(0, ttlMs) : undefined;
    const withinMs = Math.min(timeoutMs ?? Infinity, cancelMs ?? Infinity);
    return {
      options: { timeoutMs, signal: this.#cancelled(machine, cancelMs), waitForRecovery: random.chance(0.3) },
      withinMs: withinMs === Infinity ? undefined : withinMs,
    };
  }

  #cancelled(machine: Machine, afterMs: number | undefined): AbortSignal | undefined {
    if (afterMs === undefined) return undefined;
    const controller = new AbortController();
    machine.host.schedule(afterMs, () => controller.abort(new TakenBack('the worker took it back')));
    return controller.signal;
  }

  async #call<T>(
    machine: Machine,
    verb: Verb,
    locks: readonly string[],
    withinMs: number | undefined,
    act: (operation: Operation) => Promise<T>,
  ): Promise<T | undefined> {
    const { history } = this.#world;
    const operation = this.#invariants.begin(machine, verb, locks, withinMs);
    try {
      const result = await act(operation);
      this.#invariants.end(operation, result === undefined && verb === 'try' ? 'taken' : 'ok');
      return result;
    } catch (error) {
      if (!EXPECTED[verb].some((expected) => error instanceof expected)) {
        history.violate(`a ${verb} rejects only as documented`, `${machine.name} #${operation.id} ${String(error)}`);
      }
      this.#invariants.end(operation, error instanceof Error ? error.name : String(error));
      return undefined;
    }
  }
}
