/**
 * What goes wrong, and when: drawn from the seed. Each run has a mood of its own, a few kinds of fault that come often, since faults that
 * are all rare together hide each other.
 */
import { sleep } from '../runtime/clock.ts';
import type { Snapshot } from '../store/memory/memory-cluster.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Disk } from './disk.ts';
import { CLOCK_AHEAD, isOwn, kindsFor, type Fault, type Hands } from './faults.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

export class Nemesis implements Hands {
  readonly world: World;
  readonly calls: Calls;
  readonly invariants: Invariants;
  readonly counts: Map<string, number> = new Map();
  readonly suspends: boolean;
  readonly #workloads: readonly Workload[];
  readonly #random: SeededRandom;
  readonly #mood: readonly (readonly [string, Fault])[];
  #snapshot: Snapshot;
  #epoch = 0;
  #boots = 0;
  readonly #isScheduled: boolean;

  constructor(
    world: World,
    workloads: readonly Workload[],
    calls: Calls,
    invariants: Invariants,
    random: SeededRandom,
  ) {
    this.world = world;
    this.#isScheduled = world.setup.uses.includes('schedules');
    this.#workloads = workloads;
    this.calls = calls;
    this.invariants = invariants;
    this.#random = random;
    this.#snapshot = world.cluster.snapshot();
    this.suspends = random.chance(0.5);
    const kinds = kindsFor(world.setup.uses);
    const drawn = Array.from({ length: random.integer(1, 5) }, () => random.pick(Object.entries(random.pick(kinds))));
    /* What a clock that is wrong does shows in schedules alone, so there it is in more moods. */
    this.#mood = world.setup.oneClock ? [...drawn, ['a wall clock is set forward', CLOCK_AHEAD]] : drawn;
    for (let index = 0; index < world.setup.machines; index += 1) this.boot();
  }

  /** `disk`: of the process in whose place this one comes. */
  boot(disk?: Disk): void {
    this.#boots += 1;
    const machine = this.world.boot(`m${this.#boots}`, disk);
    for (const workload of this.#workloads) workload.start(machine, this.#random.fork());
  }

  replace(machine: Machine, end: () => Promise<void>): void {
    if (machine.state !== 'up' || machine.host.isStopped) return;
    void end();
    if (this.world.up.length <= this.world.setup.machines) this.boot(machine.disk);
  }

  restore(world: World): void {
    this.#epoch += 1;
    world.cluster.disarmQuota();
    world.cluster.restore(this.#snapshot);
    world.cluster.put('sim/epoch', String(this.#epoch));
    this.invariants.restored();
    for (const workload of this.#workloads) workload.restored?.();
  }

  /** Makes trouble for as long as the run is to have some, then takes all of it back. */
  async run(): Promise<void> {
    const { clock, setup } = this.world;
    const streams = Array.from({ length: this.#random.integer(1, 2) }, () => this.#stream(this.#random.fork()));
    await sleep(clock, setup.chaosMs / 2);
    this.#snapshot = this.world.cluster.snapshot();
    await Promise.all(streams);
    this.#heal();
  }

  async #stream(random: SeededRandom): Promise<void> {
    const { world } = this;
    const { clock, setup, history } = world;
    const untilMs = world.nowMs + setup.chaosMs;
    for (;;) {
      await sleep(clock, random.integer(100, random.pick([500, setup.ttlMs])));
      if (world.nowMs >= untilMs) return;
      const [name, fault] = random.pick(this.#mood);
      const machine = random.pick(world.exposed);
      history.note('-', `${name} (${machine.name})`);
      this.counts.set(`fault: ${name}`, (this.counts.get(`fault: ${name}`) ?? 0) + 1);
      const suffering = (isOwn(name) ? [machine] : world.machines).map((each) => each.suffer());
      world.trouble();
      const undo = fault({ world, random, machine, nemesis: this }) ?? (() => {});
      await sleep(clock, random.integer(10, random.pick([300, setup.ttlMs, 2 * setup.ttlMs])));
      undo();
      for (const end of suffering) end();
      world.trouble();
      history.note('-', `${name} (${machine.name}): over`);
    }
  }

  #heal(): void {
    const { world } = this;
    world.cluster.start();
    world.cluster.disarmQuota();
    for (const machine of world.machines) {
      machine.store.faults.heal();
      machine.disk.failure = undefined;
      machine.resume();
      /* By then a machine that was suspended has noticed, and does not lose both of its clocks at once. */
      if (this.#isScheduled) world.clock.schedule(world.setup.ttlMs, () => machine.setClockRight());
    }
    world.trouble();
    world.healedAtMs = world.nowMs;
    world.history.note('-', 'healed');
  }
}
