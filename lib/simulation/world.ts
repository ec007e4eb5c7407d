import { MemoryCluster, type Delay } from '../store/memory/memory-cluster.ts';
import { RecordingLogger } from '../testing/recording-logger.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Disk } from './disk.ts';
import { History } from './history.ts';
import { Machine } from './machine.ts';
import { Register } from './register.ts';
import type { SimulatedJob } from './tick-audit.ts';

/** How a run is set up; drawn from its seed. */
export interface Setup {
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly latencyMs: Delay;
  readonly machines: number;
  readonly workers: number;
  readonly chaosMs: number;
  /** How long a worker rests between two calls, at most. */
  readonly pauseMs: number;
  /** What the machines do. */
  readonly uses: readonly Use[];
  readonly jobs: readonly SimulatedJob[];
  /**
   * At most one wall clock is wrong at a time, and the first machine is spared by every fault of a machine: there is somebody who knows
   * better.
   */
  readonly oneClock: boolean;
}

/** What the coordinators are used for in a run. */
export type Use = 'locks' | 'shared' | 'elections' | 'settings' | 'schedules' | 'registries' | 'partitions' | 'once';

/** For how long an etcd without a leader is away; the L6 bound has two of them in it. */
export const ELECTION_MS = 1_000;

function drawSetup(random: SeededRandom): Setup {
  const ttlMs = random.pick([2_000, 3_000, 5_000]);
  const timeoutMs = random.pick([300, 700, 1_500]);
  const uses = random.pick<readonly Use[]>([
    ['locks'],
    ['locks'],
    ['elections'],
    ['settings'],
    ['schedules'],
    ['shared'],
    ['registries'],
    ['partitions'],
    ['once'],
    ['locks', 'shared', 'elections', 'settings', 'schedules', 'registries', 'partitions', 'once'],
  ]);
  return {
    ttlMs,
    timeoutMs,
    deadlineMs: timeoutMs * random.integer(1, 4),
    latencyMs: { from: 1, to: random.pick([2, 10, 40]) },
    machines: random.integer(2, 4),
    workers: random.integer(1, uses.length === 1 ? 3 : 1),
    chaosMs: 40_000 + 3 * ttlMs,
    pauseMs: random.pick([700, 4_000, 4_000]),
    uses,
    jobs: ['every', 'some'].slice(0, random.integer(1, 2)).map((name) => drawJob(name, random)),
    oneClock: uses.includes('schedules') && random.chance(0.5),
  };
}

function drawJob(name: string, random: SeededRandom): SimulatedJob {
  const onLeaderLoss = random.pick(['abandon', 'retry'] as const);
  return {
    name,
    pattern: random.pick(['* * * * * *', '*/2 * * * * *', '*/5 * * * * *']),
    options: {
      timezone: 'UTC',
      missed: random.pick(['skip', 'last', 'all'] as const),
      onLeaderLoss,
      maxAttempts: onLeaderLoss === 'retry' ? random.integer(1, 3) : undefined,
      overlap: random.chance(0.3),
      maxRunMs: random.chance(0.2) ? 2_000 : undefined,
    },
  };
}

/** One etcd, the machines on it, and what they did. */
export class World {
  readonly setup: Setup;
  readonly clock: VirtualClock;
  readonly cluster: MemoryCluster;
  readonly history: History;
  readonly register: Register;
  /** Every machine that ever was. */
  readonly machines: Machine[] = [];
  readonly locks: readonly string[] = ['a', 'b'];
  readonly election: string = 'e';
  /** The share of holders that keep their lock for longer than a lease lasts. */
  readonly longHolds: number;
  /** The share of holders that keep it for a few milliseconds: short enough for the key to be passed on. */
  readonly briefHolds: number;
  /**
   * Whether holders are asked at every instant whether they hold, or only when something changes at the server. Asking alone makes a
   * holder notice that its time is over, so a run that always asks never sees what happens to one that nobody asks.
   */
  readonly asksAlways: boolean;
  /** From when on nothing goes wrong any more; workers begin nothing new. */
  healedAtMs: number | undefined;
  /** When the last fault ended that can have left something behind. */
  troubledUntilMs = 0;
  /** When somebody was last refused access: they ask again after a while. */
  refusedUntilMs: number = Number.NEGATIVE_INFINITY;
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.setup = drawSetup(random);
    this.#random = random;
    this.longHolds = random.pick([0.05, 0.3, 0.7]);
    this.briefHolds = random.pick([0, 0.5, 0.9]);
    this.asksAlways = random.chance(0.5);
    /* One turn settles every chain of promises: nothing in here does real I/O. */
    this.clock = new VirtualClock({ turns: 1 });
    const runtime = { clock: this.clock, random: random.fork(), logger: new RecordingLogger(), exit: () => {} };
    this.cluster = new MemoryCluster(runtime, { expiryLagMs: { from: 0, to: 500 }, catchUpMs: { from: 0, to: 100 } });
    this.history = new History(() => this.clock.elapsedMs);
    this.register = new Register(this.clock);
  }

  get nowMs(): number {
    return this.clock.elapsedMs;
  }

  get up(): readonly Machine[] {
    return this.machines.filter(({ state }) => state === 'up');
  }

  /** Those that a fault of a machine may strike. */
  get exposed(): readonly Machine[] {
    const [spared] = this.setup.oneClock ? this.machines : [];
    const exposed = this.up.filter((machine) => machine !== spared);
    return exposed.length === 0 ? this.up : exposed;
  }

  /** `disk`: what a process before it has left. */
  boot(name: string, disk: Disk = new Disk(this.#random.fork())): Machine {
    const { ttlMs, timeoutMs, deadlineMs, latencyMs } = this.setup;
    const seed = this.#random.integer(0, 0xffff_ffff);
    const machine = new Machine(this.clock, this.cluster, {
      name,
      seed,
      ttlMs,
      timeoutMs,
      deadlineMs,
      latencyMs,
      disk,
    });
    this.machines.push(machine);
    this.history.note(name, 'boots');
    return machine;
  }

  trouble(untilMs: number = this.nowMs): void {
    this.troubledUntilMs = Math.max(this.troubledUntilMs, untilMs);
  }

  /** What can be had: `lock/a`, `election/e`. */
  get queues(): readonly string[] {
    return [...this.locks.map((lock) => `lock/${lock}`), `election/${this.election}`];
  }

  prefixOf(queue: string): string {
    return queue.startsWith('semaphore-slot/') ? `sim/${queue}` : `sim/${queue}/`;
  }

  /** Who holds a queue at the server, now: the create revision of its key. */
  ownerOf(queue: string): bigint | undefined {
    let owner: bigint | undefined;
    for (const { createRevision } of this.cluster.entries(this.prefixOf(queue))) {
      if (owner === undefined || createRevision < owner) owner = createRevision;
    }
    return owner;
  }
}
