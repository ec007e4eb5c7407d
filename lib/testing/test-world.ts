import { completeOptions, type CoordinatorOptions } from '../coordinator-options.ts';
import { Coordinator } from '../coordinator.ts';
import { MemoryCluster } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import type { HostClock } from './host-clock.ts';
import { testRuntime, type TestRuntime } from './test-runtime.ts';

/** Which of the possible runs it is. */
export interface TestWorldOptions {
  /**
   * Of chance: jitter, lease IDs, the order in which things happen that happen at once. The same seed gives the same run.
   * @default 1
   */
  readonly seed?: number | undefined;
}

/** To etcd, and back. */
const LATENCY_MS = { from: 1, to: 2 };

/** A process in a {@link TestWorld}: a coordinator, and what can go wrong with it. */
export class TestProcess {
  /** As `createCoordinator` gives one; what waits on it settles as time passes. */
  readonly coordinator: Coordinator;
  readonly #store: MemoryStore;
  readonly #host: HostClock;
  #mend: (() => void) | undefined;

  /** @internal */
  constructor(coordinator: Coordinator, store: MemoryStore, host: HostClock) {
    this.coordinator = coordinator;
    this.#store = store;
    this.#host = host;
  }

  /** Cuts it off from etcd: nothing arrives, either way, and nobody says so. Until {@link heal}. */
  cutOff(): void {
    this.#mend ??= this.#store.faults.cutOff();
  }

  /** Ends {@link cutOff}: what it sends arrives again. What was lost stays lost. */
  heal(): void {
    this.#mend?.();
    this.#mend = undefined;
  }

  /** What it sends is carried out, and its answers are lost: unknown, not failed. Until the returned function is called. */
  loseAnswers(): () => void {
    return this.#store.faults.onResponse(() => 'drop');
  }

  /** Its event loop stands still, as in a long collection of garbage; the time of everybody else goes on. Until {@link resume}. */
  pause(): void {
    this.#host.pause();
  }

  /** Ends {@link pause}: what came due and what has arrived meanwhile comes now. */
  resume(): void {
    this.#host.resume();
  }
}

/**
 * An etcd in memory and any number of processes on it, in virtual time: for tests of what a program does when a lock is lost, an hour passes, or
 * etcd is away, in milliseconds and the same each time. The coordinators are the real ones; real input and output knows nothing of this time, so
 * what the program itself waits for has to be part of it, or has to be told.
 */
export class TestWorld {
  readonly #runtime: TestRuntime;
  readonly #cluster: MemoryCluster;

  /** With etcd running, and nobody there. */
  constructor({ seed = 1 }: TestWorldOptions = {}) {
    this.#runtime = testRuntime({ seed });
    this.#cluster = new MemoryCluster(this.#runtime);
  }

  /** A process that has not connected yet: it does as time passes. Options as those of `createCoordinator`; endpoints, TLS and users mean nothing. */
  start(options: CoordinatorOptions = {}): TestProcess {
    const host = this.#runtime.clock.host();
    /* With a way to etcd that takes time: what has arrived waits for a process that is paused. */
    const store = this.#cluster.connect({ runtime: { ...this.#runtime, clock: host }, latencyMs: LATENCY_MS });
    const coordinator = new Coordinator({ ...this.#runtime, clock: host }, store, completeOptions(options));
    return new TestProcess(coordinator, store, host);
  }

  /** A process that has its session. Lets time pass until it has, and rejects as {@link settle} does. */
  async connect(options: CoordinatorOptions = {}): Promise<TestProcess> {
    const process = this.start(options);
    await this.settle(process.coordinator.ready());
    return process;
  }

  /** Lets so many milliseconds pass, for all processes that are not paused. */
  advance(ms: number): Promise<void> {
    return this.#runtime.clock.advance(ms);
  }

  /** Lets time pass until the promise has settled, and settles as it does. Rejects after `withinMs` of virtual time. @default 60_000 */
  settle<T>(promise: PromiseLike<T>, withinMs = 60_000): Promise<T> {
    return this.#runtime.clock.settle(promise, { withinMs });
  }

  /** Resolves after so long in virtual time: for what the tested program waits for. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#runtime.clock.schedule(ms, resolve);
    });
  }

  /** etcd crashes: nobody is answered any more. */
  stopEtcd(): void {
    this.#cluster.stop();
  }

  /** It is back, with its data; leases have their full TTL again, as in etcd. */
  startEtcd(): void {
    this.#cluster.start();
  }
}
