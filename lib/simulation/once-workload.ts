import type { OnceOptions } from '../once/once-options.ts';
import type { Turn } from '../once/turn.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { WorkFailed, type Calls } from './calls.ts';
import type { Operation } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { OnceRecords, type RecordLife } from './once-records.ts';
import { raise } from './raise.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

const KEYS = ['x', 'y'];

/** Work that was done, or begun: what each returns is its own. */
interface Run {
  readonly operation: Operation;
  readonly value: string;
  returnedAtMs: number | undefined;
}

/**
 * Workers that have work done once, of which some fails, and operators that take records back. Turns have the invariants of a lock, and
 * the guarded counter behind them.
 *
 * O1: a record is put by whoever has the turn, and never over another; it is what a run returned that had ended by then, and of no run twice. O2: what a call resolves
 * to was on record at some time during the call, so all calls between two ends of a record get one value. O4: no work begins while a record
 * stands. O5: what was said not to be recorded was not. (O3, that after the healing every call settles, is everybody's: L6, D1.)
 */
export class OnceWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  readonly #records: OnceRecords;
  readonly #runs = new Map<string, Run>();
  #restoredAtMs: number = Number.NEGATIVE_INFINITY;

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
    this.#records = new OnceRecords(world, (life, before) => this.#checkPut(life, before));
  }

  start(machine: Machine, random: SeededRandom): void {
    for (let index = 0; index < 2 * this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  restored(): void {
    this.#restoredAtMs = this.#world.nowMs;
    this.#records.rebuild();
  }

  look(): void {
    this.#records.read();
  }

  async probe(machine: Machine, withinMs: number): Promise<void> {
    await Promise.all(KEYS.map((key) => this.#probe(machine, key, withinMs)));
  }

  finish(): void {
    this.look();
    for (const run of this.#runs.values()) this.#checkRun(run);
  }

  async #probe(machine: Machine, key: string, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    await this.#calls.call(machine, 'probe', [queueOf(key)], withinMs, async (operation) => {
      const value = await this.#calls.insist(machine, untilMs, (timeoutMs) =>
        machine.coordinator.once(key, (turn) => this.#run(operation, turn, async () => {}), {
          ttlMs: 1_000,
          timeoutMs,
          waitForRecovery: true,
        }),
      );
      this.#checkResult(operation, key, value);
    });
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, this.#world.setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.isGone) return;
      const key = random.pick(KEYS);
      if (random.chance(0.1)) await this.#forget(machine, key);
      else await this.#once(machine, key, random);
    }
  }

  async #once(machine: Machine, key: string, random: SeededRandom): Promise<void> {
    const { ttlMs } = this.#world.setup;
    const { deadlineMs } = machine.options;
    const timeoutMs = random.chance(0.6) ? random.integer(0, 2 * ttlMs) : undefined;
    const cancelMs = random.chance(0.2) ? random.integer(0, ttlMs) : undefined;
    const options: OnceOptions = {
      ttlMs: random.pick([1_000, 2_000, ttlMs]),
      timeoutMs,
      signal: this.#calls.takenBack(machine, cancelMs),
      waitForRecovery: random.chance(0.3),
    };
    /* Whose turn comes in time looks for the result, and gives the turn back before the call ends: each within a deadline. */
    const withinMs = Math.min((timeoutMs ?? Infinity) + 2 * deadlineMs, (cancelMs ?? Infinity) + deadlineMs);
    const dueMs = withinMs === Infinity ? undefined : withinMs;
    const fails = random.chance(0.1);
    await this.#calls.call(machine, 'once', [queueOf(key)], dueMs, async (operation) => {
      const work = (turn: Turn): Promise<string> =>
        this.#run(operation, turn, async () => {
          await raise(this.#world, machine, queueOf(key), turn, random);
          if (fails) throw new WorkFailed('the work failed');
        });
      const value = await machine.coordinator.once(key, work, options);
      this.#checkResult(operation, key, value);
    });
  }

  async #run(operation: Operation, turn: Turn, act: () => Promise<void>): Promise<string> {
    const { machine } = operation;
    this.#count('works begun');
    this.#checkBeginning(operation, turn);
    const hold = this.#invariants.granted(operation, queueOf(turn.key), turn);
    const dueAtMs = operation.dueAtMs;
    operation.dueAtMs = undefined;
    const run: Run = { operation, value: `${machine.name}-${this.#runs.size}`, returnedAtMs: undefined };
    this.#runs.set(run.value, run);
    try {
      await act();
      run.returnedAtMs = this.#world.nowMs;
      return run.value;
    } finally {
      hold.releasedAtMs = this.#world.nowMs;
      /* The record, and the release. */
      const { deadlineMs } = machine.options;
      operation.dueAtMs = operation.verb === 'probe' ? dueAtMs : this.#world.nowMs + 2 * deadlineMs;
    }
  }

  async #forget(machine: Machine, key: string): Promise<void> {
    await this.#calls.call(machine, 'forget', [], machine.options.deadlineMs, () =>
      machine.coordinator.forgetOnce(key),
    );
  }

  /** O1. */
  #checkPut(life: RecordLife, before: RecordLife | undefined): void {
    const { history } = this.#world;
    const { key, value, isByTurn, sinceMs, putInEra } = life;
    this.#count('works recorded');
    if (!isByTurn) history.violate('O1 a record is put by whoever has the turn', `${value} under ${key}`);
    if (before !== undefined) {
      history.violate('O1 a record is never put over another', `${value} over ${before.value} under ${key}`);
    }
    const run = this.#runs.get(value);
    if (run?.returnedAtMs === undefined || run.returnedAtMs > sinceMs) {
      history.violate('O1 a record is of work that has ended', `${value} under ${key}`);
    }
    const again = this.#records.lives.some(
      (other) => other !== life && other.value === value && other.putInEra === putInEra,
    );
    /* What the network sends a second time can be taken while the turn stands, once the record has ended. */
    if (again && run?.operation.machine.repeatsItself !== true) {
      history.violate('O1 a run is recorded once', `${value} under ${key}`);
    }
  }

  /** O2. */
  #checkResult(operation: Operation, key: string, value: string): void {
    const { machine, id, startedAtMs } = operation;
    const { history } = this.#world;
    this.#records.read();
    if (this.#runs.get(value)?.operation !== operation) this.#count('results of others');
    if (this.#records.during(key, startedAtMs).some((life) => life.value === value)) return;
    history.violate('O2 a result was on record', `${machine.name} #${id} got ${value} of ${key}`);
  }

  /** O4. A hand, or a restore, takes turns away from those who are not told in time. */
  #checkBeginning({ machine, id, startedAtMs }: Operation, { key }: Turn): void {
    this.#records.read();
    const standing = this.#records.standing(key);
    if (standing === undefined || startedAtMs <= this.#invariants.doomedAtMs) return;
    this.#world.history.violate(
      'O4 no work begins while a record stands',
      `${machine.name} #${id} begins ${key}, ${standing.value} is on record`,
    );
  }

  /** O5. */
  #checkRun({ operation, value }: Run): void {
    const { outcome, machine, id, startedAtMs } = operation;
    const isOpen = ['ok', 'pending', 'OutcomeUnknownError'].includes(outcome);
    if (isOpen || machine.repeatsItself || startedAtMs <= this.#restoredAtMs) return;
    if (this.#records.lives.every((life) => life.value !== value)) return;
    this.#world.history.violate('O5 what was said not to be recorded was not', `${machine.name} #${id} ${outcome}`);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function queueOf(key: string): string {
  return `once-turn/${key}`;
}
