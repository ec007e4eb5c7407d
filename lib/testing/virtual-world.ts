import { completeOptions, type CoordinatorOptions } from '../coordinator-options.ts';
import { Coordinator } from '../coordinator.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Files } from '../runtime/files.ts';
import { MemoryCluster, type MemoryClusterOptions } from '../store/memory/memory-cluster.ts';
import type { MemoryStore } from '../store/memory/memory-store.ts';
import { testRuntime, type TestRuntime } from './test-runtime.ts';

/** A process in the virtual world: a coordinator of the real code, and its connection to the cluster. */
export interface Process {
  readonly coordinator: Coordinator;
  readonly store: MemoryStore;
}

/** One etcd in memory and any number of coordinators on it, in virtual time. */
export class VirtualWorld {
  readonly runtime: TestRuntime;
  readonly cluster: MemoryCluster;

  constructor(options: { readonly seed?: number } & MemoryClusterOptions = {}) {
    this.runtime = testRuntime(options.seed === undefined ? {} : { seed: options.seed });
    this.cluster = new MemoryCluster(this.runtime, options);
  }

  /** A process that has not connected yet; on the world's clock, or on one of its own that can be set wrong. */
  start(options: CoordinatorOptions = {}, files?: Files, clock: Clock = this.runtime.clock): Process {
    const store = this.cluster.connect({
      runtime: this.runtime,
      ...(options.instanceId === undefined ? {} : { name: options.instanceId }),
    });
    const complete = completeOptions({ namespace: 'test', session: { ttlMs: 5_000 }, ...options });
    return { store, coordinator: new Coordinator({ ...this.runtime, clock }, store, complete, files) };
  }

  /** A process that has its session. */
  async connect(options: CoordinatorOptions = {}): Promise<Process> {
    const process = this.start(options);
    await this.settle(process.coordinator.ready());
    return process;
  }

  /** Lets virtual time pass until `promise` has settled. */
  settle<T>(promise: PromiseLike<T>, withinMs = 60_000): Promise<T> {
    return this.runtime.clock.settle(promise, { withinMs });
  }

  advance(ms: number): Promise<void> {
    return this.runtime.clock.advance(ms);
  }
}
