import type { Election } from '../election/election.ts';
import type { Leadership } from '../election/leadership.ts';
import { unpackToken } from '../queue/token.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { TakenBack, type Calls } from './calls.ts';
import type { Operation } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { Observer } from './observer.ts';
import { linger, raise } from './raise.ts';
import { isReign, Reigns } from './reigns.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** Candidates that lead, campaign, proclaim and resign, and observers that are told of it. */
export class ElectionWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  readonly #queue: string;
  readonly #reigns: Reigns;
  readonly #observers: Observer[] = [];
  #proclaimed = 0;
  #restoredAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: World, invariants: Invariants, calls: Calls) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
    this.#queue = `election/${world.election}`;
    this.#reigns = new Reigns(world, this.#queue);
  }

  start(machine: Machine, random: SeededRandom): void {
    this.#observers.push(new Observer(this.#world, machine, this.#reigns));
    for (let index = 0; index < this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  restored(): void {
    this.#reigns.rebuild();
    this.#restoredAtMs = this.#world.nowMs;
  }

  look(): void {
    this.#reigns.read();
  }

  /** Is elected once, and observers come to know how things are. */
  async probe(machine: Machine, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    await this.#calls.call(machine, 'probe', [this.#queue], withinMs, async (operation) => {
      const leadership = await this.#calls.insist(machine, untilMs, (timeoutMs) =>
        this.#electionOf(machine).campaign({ timeoutMs, waitForRecovery: true }),
      );
      this.#invariants.granted(operation, this.#queue, leadership);
      this.#invariants.letGo(leadership);
      await leadership.resign();
    });
    const isBehind = (): boolean => this.#observers.some((each) => each.machine === machine && !each.isCurrent);
    while (isBehind() && this.#world.nowMs < untilMs) await sleep(this.#world.clock, 50);
    if (isBehind()) this.#world.history.violate('an observer comes to know how things are', machine.name);
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, this.#world.setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.isGone) return;
      const share = random.uniform();
      if (share < 0.6) await this.#lead(machine, random);
      else if (share < 0.85) await this.#campaign(machine, random);
      else await this.#ask(machine);
    }
  }

  /** Leads whenever it is elected, for as many terms as there are until it is told to stop. */
  async #lead(machine: Machine, random: SeededRandom): Promise<void> {
    const { ttlMs } = this.#world.setup;
    const drainMs = random.pick([0, 300, 1_000]);
    const stop = new AbortController();
    const value = random.pick(['', this.#drawValue(machine)]);
    let askedAtMs = this.#world.nowMs;
    let working = 0;
    await this.#calls.call(machine, 'lead', [this.#queue], undefined, (operation) => {
      void this.#stopLater(machine, random.integer(0, 5 * ttlMs), () => {
        operation.dueAtMs ??= this.#world.nowMs + drainMs + machine.options.deadlineMs;
        stop.abort(new TakenBack('the candidate was told to stop'));
      });
      const work = async (leadership: Leadership): Promise<void> => {
        working += 1;
        if (working > 1) this.#world.history.violate('work of one call is done once at a time', machine.name);
        this.#count('terms');
        const hold = this.#invariants.granted(operation, this.#queue, leadership, askedAtMs);
        try {
          await this.#reign(machine, leadership, random);
        } finally {
          working -= 1;
          hold.releasedAtMs ??= this.#world.nowMs;
          askedAtMs = this.#world.nowMs;
        }
      };
      return this.#electionOf(machine).lead(work, { value, signal: stop.signal, drainMs });
    });
  }

  async #stopLater(machine: Machine, afterMs: number, stop: () => void): Promise<void> {
    await linger(this.#world, machine, afterMs);
    stop();
  }

  /** Works, now and then under a new value, until it is done or told to stop; some take long to stop. */
  async #reign(machine: Machine, leadership: Leadership, random: SeededRandom): Promise<void> {
    if (random.chance(0.3)) await this.#proclaim(machine, leadership);
    const working = raise(this.#world, machine, this.#queue, leadership, random);
    await abortable(working, leadership.signal).catch(() => {});
    if (leadership.signal.aborted) await linger(this.#world, machine, random.pick([0, 0, 200, 1_500]));
  }

  async #campaign(machine: Machine, random: SeededRandom): Promise<void> {
    const { ttlMs } = this.#world.setup;
    const timeoutMs = random.chance(0.6) ? random.integer(0, 2 * ttlMs) : undefined;
    const cancelMs = random.chance(0.3) || timeoutMs === undefined ? random.integer(0, 2 * ttlMs) : undefined;
    const withinMs = Math.min(timeoutMs ?? Infinity, cancelMs ?? Infinity);
    const options = {
      timeoutMs,
      value: this.#drawValue(machine),
      signal: this.#calls.takenBack(machine, cancelMs),
      waitForRecovery: random.chance(0.5),
    };
    const leadership = await this.#calls.call(machine, 'campaign', [this.#queue], withinMs, async (operation) => {
      const leadership = await this.#electionOf(machine).campaign(options);
      this.#invariants.granted(operation, this.#queue, leadership);
      return leadership;
    });
    if (leadership === undefined) return;
    await this.#reign(machine, leadership, random);
    this.#invariants.letGo(leadership);
    await this.#calls.call(machine, 'resign', [this.#queue], machine.options.deadlineMs, () => leadership.resign());
  }

  async #proclaim(machine: Machine, leadership: Leadership): Promise<void> {
    await this.#calls.call(machine, 'proclaim', [], machine.options.deadlineMs, () =>
      leadership.proclaim(this.#drawValue(machine)),
    );
  }

  /** `leader()` is linearizable: it answers with one who led at some time between its call and its answer. */
  async #ask(machine: Machine): Promise<void> {
    await this.#calls.call(machine, 'leader', [], machine.options.deadlineMs, async ({ startedAtMs }: Operation) => {
      const leader = await this.#electionOf(machine).leader();
      this.#reigns.read();
      const told = leader && { revision: unpackToken(leader.token).revision, value: leader.value };
      const isTrue = this.#reigns.since(startedAtMs).some((reign) => isReign(reign, told));
      if (!isTrue && this.#restoredAtMs < startedAtMs) {
        const { history } = this.#world;
        history.violate('leader() is linearizable', `${machine.name} was told of ${told?.revision} ${told?.value}`);
      }
    });
  }

  #electionOf(machine: Machine): Election {
    return machine.coordinator.election(this.#world.election);
  }

  #drawValue(machine: Machine): string {
    this.#proclaimed += 1;
    return `${machine.name}-${this.#proclaimed}`;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
