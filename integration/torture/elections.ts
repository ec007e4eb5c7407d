import { setTimeout as sleep } from 'node:timers/promises';
import { machineMs } from '../election/machine-clock.ts';
import type { EtcdCluster } from '../servers/etcd-cluster.ts';

const POLL_MS = 250;

/**
 * Watches etcd's own elections: those that a fault brings about, and those that nobody ordered, as on a machine so busy that a leader of etcd
 * misses its heartbeats. Tells between which two instants each was.
 */
export class Elections implements AsyncDisposable {
  readonly #over = new AbortController();
  readonly #watching: Promise<void>;

  constructor(cluster: EtcdCluster, tell: (at: number, until: number) => void) {
    this.#watching = this.#watch(cluster, tell);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#watching;
  }

  async #watch(cluster: EtcdCluster, tell: (at: number, until: number) => void): Promise<void> {
    const { signal } = this.#over;
    let known = await cluster.term();
    let at = machineMs();
    while (!signal.aborted) {
      await sleep(POLL_MS);
      const askedAt = machineMs();
      const term = await cluster.term();
      if (term > known) tell(at, machineMs());
      /* With nobody to answer, the last term stays what was known. */
      if (term === 0) continue;
      known = term;
      at = askedAt;
    }
  }
}
