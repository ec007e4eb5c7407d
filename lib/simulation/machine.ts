import { completeOptions } from '../coordinator-options.ts';
import { Coordinator } from '../coordinator.ts';
import type { Delay, MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import type { HostClock } from '../testing/host-clock.ts';
import { RecordingLogger } from '../testing/recording-logger.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import type { VirtualClock } from '../testing/virtual-clock.ts';
import { Disk } from './disk.ts';

export interface MachineOptions {
  readonly name: string;
  readonly seed: number;
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly latencyMs: Delay;
  /**
   * What a process there left behind.
   * @default a new one
   */
  readonly disk?: Disk;
}

/** One process with the real coordinator in it, on a clock and a network of its own. */
export class Machine {
  readonly name: string;
  readonly options: MachineOptions;
  readonly host: HostClock;
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly store: MemoryStore;
  readonly coordinator: Coordinator;
  readonly #world: VirtualClock;
  readonly #stops: { readonly fromMs: number; toMs: number }[] = [];
  /** Requests of it have arrived twice: then a key can come back, until the audit finds it. */
  repeatsItself = false;
  /** Reads of it were answered from the past, as servers with a bug answer them: its proofs can then be too young. */
  readsStale = false;
  /** Its user was refused access: calls of it may say so. */
  wasRefused = false;
  #faults = 0;
  #faultyUntilMs = 0;
  /** Its wall clock was set: what it believes about time may be wrong on the safe side. */
  clockTouchedAtMs: number = Number.NEGATIVE_INFINITY;
  state: 'up' | 'closing' | 'closed' | 'killed' = 'up';
  readonly bootedAtMs: number;
  readonly disk: Disk;

  constructor(world: VirtualClock, cluster: MemoryCluster, options: MachineOptions) {
    const { name, seed, ttlMs, timeoutMs, deadlineMs, latencyMs, disk = new Disk(new SeededRandom(seed)) } = options;
    this.name = name;
    this.options = options;
    this.disk = disk;
    this.#world = world;
    this.bootedAtMs = world.elapsedMs;
    this.host = world.host();
    const runtime = { clock: this.host, random: new SeededRandom(seed), logger: this.logger, exit: refuseToExit };
    this.store = cluster.connect({ name, runtime, latencyMs });
    const complete = completeOptions({
      namespace: 'sim',
      instanceId: name,
      session: { ttlMs },
      request: { timeoutMs, deadlineMs },
      snapshotDir: '/snapshots',
      logger: this.logger,
    });
    this.coordinator = new Coordinator(runtime, this.store, complete, disk.mount(this.host));
  }

  /** Until when anything was wrong with it, with etcd, or between them, apart from what was late on its way. */
  get faultyUntilMs(): number {
    return this.#faults > 0 ? Number.POSITIVE_INFINITY : this.#faultyUntilMs;
  }

  /** Gone for good: it takes no further work. */
  get isGone(): boolean {
    return this.state === 'closed' || this.state === 'killed';
  }

  /** A fault begins. Returns what ends it. */
  suffer(): () => void {
    this.#faults += 1;
    return () => {
      this.#faults -= 1;
      this.#faultyUntilMs = this.#world.elapsedMs;
    };
  }

  stop(how: 'pause' | 'suspend'): void {
    if (this.host.isStopped) return;
    this.#stops.push({ fromMs: this.#world.elapsedMs, toMs: Number.POSITIVE_INFINITY });
    this.host[how]();
  }

  resume(): void {
    const last = this.#stops.at(-1);
    if (!this.host.isStopped || last === undefined || this.state === 'killed') return;
    last.toMs = this.#world.elapsedMs;
    this.host.resume();
  }

  /** How far its wall clock is from the world's, in milliseconds: ahead, or behind. */
  get wallOffsetMs(): number {
    return this.host.now().wallMs - this.#world.now().wallMs;
  }

  /** Somebody puts its clock right. */
  setClockRight(): void {
    const offsetMs = this.wallOffsetMs;
    if (this.isGone || offsetMs === 0) return;
    this.clockTouchedAtMs = this.#world.elapsedMs;
    this.host.jumpWall(-offsetMs);
  }

  /** Nothing of it ever runs again; what it has sent is under way. */
  kill(): void {
    this.stop('pause');
    this.state = 'killed';
  }

  /** How long it stood still between two instants of the world, in milliseconds. */
  stoppedMs(fromMs: number, toMs: number): number {
    return this.#stops.reduce(
      (sum, stop) => sum + Math.max(0, Math.min(toMs, stop.toMs) - Math.max(fromMs, stop.fromMs)),
      0,
    );
  }

  /** It has run, with a clock that nobody touched, since then. */
  ranSince(fromMs: number): boolean {
    return (
      this.clockTouchedAtMs < fromMs && this.stoppedMs(fromMs, this.#world.elapsedMs) === 0 && !this.host.isStopped
    );
  }
}

function refuseToExit(): never {
  throw new Error('no work of the simulation ends its process');
}
