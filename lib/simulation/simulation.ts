/**
 * Locks, elections, settings, schedules, work that is done once, and everything that can go wrong with them, in virtual time, from a seed.
 *
 * 1. Machines with the real coordinator use it in every way there is; see lock-workload.ts and its likes.
 * 2. The network, etcd, the machines and their clocks fail as the seed says; see nemesis.ts.
 * 3. At every instant the invariants are looked at; see invariants.ts.
 * 4. Everything is healed: who waits has to get on, and every machine has to get everything.
 * 5. Everything is closed: nothing may be left in etcd, and no timer and no watch in the processes.
 *
 * The same seed gives the same run, line by line: replay one with `npm run sim -- --seed N`.
 */
import { SeededRandom } from '../testing/seeded-random.ts';
import { Calls } from './calls.ts';
import { ElectionWorkload } from './election-workload.ts';
import type { Hold } from './history.ts';
import { Invariants } from './invariants.ts';
import { LockWorkload } from './lock-workload.ts';
import type { Machine } from './machine.ts';
import { Nemesis } from './nemesis.ts';
import { OnceWorkload } from './once-workload.ts';
import { PartitionWorkload } from './partition-workload.ts';
import { RegistryWorkload } from './registry-workload.ts';
import { ScheduleWorkload } from './schedule-workload.ts';
import { SettingsWorkload } from './settings-workload.ts';
import { SharedWorkload } from './shared-workload.ts';
import type { Workload } from './workload.ts';
import { ELECTION_MS, World, type Use } from './world.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly hash: string;
  readonly lines: readonly string[];
  readonly violations: readonly string[];
  /** What happened in it, for statistics: a run in which nothing happens proves nothing. */
  readonly counts: ReadonlyMap<string, number>;
}

/** How long a holder that is told to come to an end takes for it, at most, in milliseconds, with what it sends. */
const HAND_OVER_MS = 1_000;

/** Who was refused access asks again after so long, in milliseconds; see keeper.ts and replica.ts. */
const REFUSED_WAIT_MS = 5_500;

const WORKLOADS: Readonly<Record<Use, new (world: World, invariants: Invariants, calls: Calls) => Workload>> = {
  locks: LockWorkload,
  shared: SharedWorkload,
  elections: ElectionWorkload,
  settings: SettingsWorkload,
  schedules: ScheduleWorkload,
  registries: RegistryWorkload,
  partitions: PartitionWorkload,
  once: OnceWorkload,
};

export async function simulate(seed: number): Promise<SimulationResult> {
  const random = new SeededRandom(seed);
  const world = new World(random);
  const invariants = new Invariants(world);
  const calls = new Calls(world, invariants);
  const workloads = world.setup.uses.map((use) => new WORKLOADS[use](world, invariants, calls));
  const nemesis = new Nemesis(world, workloads, calls, invariants, random.fork());
  const simulation = new Simulation(world, invariants, calls, workloads);

  world.history.note('-', JSON.stringify(world.setup));
  await simulation.until(nemesis.run(), 10 * world.setup.chaosMs);
  await simulation.recover();
  await simulation.close();
  for (const workload of workloads) workload.finish?.();

  const { history, register } = world;
  if (register.lost > 0) history.violate('a guarded counter loses no update', `${register.lost} were lost`);
  const counts = new Map([
    ...nemesis.counts,
    ...workloads.flatMap((workload) => [...(workload.counts ?? [])]),
    ['virtual seconds', world.nowMs / 1_000],
    ['operations', history.operations.length],
    ['grants', history.holds.length],
    ['hand-overs between machines', handOvers(history.holds)],
    ['losses', invariants.losses],
    ['updates accepted', register.accepted],
    ['updates refused', register.refused],
    ['updates lost without a guard', register.lostWithoutGuard],
  ]);
  for (const { verb, outcome } of history.operations) {
    counts.set(`${verb}: ${outcome}`, (counts.get(`${verb}: ${outcome}`) ?? 0) + 1);
  }
  const { lines, violations } = history;
  return { seed, hash: history.hash(), lines, violations, counts };
}

class Simulation {
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #calls: Calls;
  readonly #workloads: readonly Workload[];

  constructor(world: World, invariants: Invariants, calls: Calls, workloads: readonly Workload[]) {
    this.#world = world;
    this.#invariants = invariants;
    this.#calls = calls;
    this.#workloads = workloads;
  }

  /** Lets time pass, instant by instant, until `done` settles or the time is over. Tells whether it settled. */
  async until(done: Promise<unknown>, withinMs: number): Promise<boolean> {
    const { clock } = this.#world;
    const untilMs = clock.elapsedMs + withinMs;
    const progress = { settled: false };
    void done.finally(() => {
      progress.settled = true;
    });
    await clock.advance(0);
    while (!progress.settled && clock.elapsedMs < untilMs) await this.#step(untilMs);
    return progress.settled;
  }

  /** L6: after the healing whoever waits gets on, and everything can be had by everybody. */
  async recover(): Promise<void> {
    const { clock, history, setup } = this.#world;
    const quietMs = Math.max(0, this.#world.refusedUntilMs + REFUSED_WAIT_MS - clock.elapsedMs);
    const recoveryMs = setup.ttlMs + 2 * ELECTION_MS + 2_000 + quietMs;
    const waiting = history.operations.filter(
      (operation) => operation.settledAtMs === undefined && operation.machine.state !== 'killed',
    );
    const untilMs = clock.elapsedMs + recoveryMs + HAND_OVER_MS * (waiting.length + 1);
    while (clock.elapsedMs < untilMs && this.#pending() > 0) await this.#step(untilMs);
    for (const { settledAtMs, machine, id, verb } of waiting) {
      if (settledAtMs === undefined)
        history.violate('L6 who waits gets on', `${machine.name} #${id} ${verb} is still pending`);
    }
    /* Nobody wants anything for a while: whatever is late on its way arrives now, and must come to nothing. */
    await this.#rest(Math.max(0, this.#world.troubledUntilMs - clock.elapsedMs) + 500);
    const probes = this.#world.up.flatMap((machine) =>
      this.#workloads.map((workload) => workload.probe(machine, recoveryMs)),
    );
    const patienceMs = Math.max(0, ...this.#workloads.map((workload) => workload.patienceMs ?? 0));
    await this.until(Promise.all(probes), recoveryMs + patienceMs + 1_000);
  }

  async close(): Promise<void> {
    const { clock, cluster, history, machines, setup, troubledUntilMs, up } = this.#world;
    await this.until(Promise.all(up.map((machine) => this.#calls.close(machine, 1_000))), 10_000);
    this.#invariants.checkPending();
    /* Leases of those that were killed, or closed while etcd was away, end by themselves. */
    const restMs = Math.max(0, troubledUntilMs - clock.elapsedMs) + 2 * setup.ttlMs + 1_000;
    await this.#rest(restMs);
    const left = cluster.entries('sim/').filter(({ key }) => !isMeantToStay(key));
    if (left.length > 0) history.violate('nothing is left in etcd', left.map(({ key }) => key).join(', '));
    if (cluster.leases.length > 0) history.violate('no lease is left', cluster.leases.join(', '));
    for (const { name, host, state } of machines) {
      if (state !== 'killed' && host.pendingTimers > 0)
        history.violate('no timer is left', `${host.pendingTimers} on ${name}`);
    }
    const ofLiving = cluster.openWatches;
    if (ofLiving > 0 && machines.every(({ state }) => state !== 'killed'))
      history.violate('no watch is left', String(ofLiving));
    history.note('-', `ends at ${clock.elapsedMs}, revision ${cluster.revision}`);
  }

  async #rest(forMs: number): Promise<void> {
    await this.until(new Promise(() => {}), forMs);
  }

  #pending(): number {
    return this.#world.history.operations.filter(
      (operation) => operation.settledAtMs === undefined && operation.machine.state !== 'killed',
    ).length;
  }

  /** To the next instant at which anything happens. */
  async #step(untilMs: number): Promise<void> {
    const { clock } = this.#world;
    await clock.advance(Math.min(clock.nextTimerMs ?? Number.POSITIVE_INFINITY, untilMs - clock.elapsedMs));
    this.#invariants.look();
    for (const workload of this.#workloads) workload.look?.();
  }
}

/** Settings, and what is known of ticks, outlive those who wrote them. */
const STAYING = [
  'sim/epoch',
  'sim/cache/',
  'sim/config/',
  'sim/config-history/',
  'sim/schedule-job/',
  'sim/clock/question',
];

function isMeantToStay(key: string): boolean {
  return STAYING.some((prefix) => key.startsWith(prefix));
}

/** How often somebody had what a different machine had had before. */
function handOvers(holds: readonly Hold[]): number {
  const last = new Map<string, Machine>();
  let count = 0;
  for (const { queue, machine } of holds) {
    if (last.has(queue) && last.get(queue) !== machine) count += 1;
    last.set(queue, machine);
  }
  return count;
}
