import { createCoordinator, type Cache, type Coordinator } from '../../lib/index.ts';
import type { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { accessTo, NAMESPACE } from '../servers/access.ts';
import { toldBy, type Told } from './history.ts';

/** A client behind a proxy of its own, with two caches that share a replica, and everything that they were told. */
export class Reader implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly caches: readonly Cache[];
  readonly told: readonly Told[][];
  /** Times at which a value was older than one served before, with no resync in between. */
  readonly backwards: string[] = [];
  readonly #coordinator: Coordinator;
  readonly #reading: Promise<unknown>;

  constructor(proxy: FaultProxy) {
    this.proxy = proxy;
    this.#coordinator = createCoordinator({
      endpoints: proxy.endpoint,
      namespace: NAMESPACE,
      ...accessTo(),
      session: { ttlMs: 5_000 },
    });
    const options = { freshnessMs: 500 };
    this.caches = [this.#coordinator.cache('r/', options), this.#coordinator.cache('r/', options)];
    this.told = this.caches.map(() => []);
    this.#reading = Promise.all(this.caches.map((cache, index) => this.#read(cache, this.told[index] ?? [])));
  }

  async #read(cache: Cache, told: Told[]): Promise<void> {
    let resyncs = 0;
    const served = new Map<string, bigint>();
    for await (const change of cache.watch()) {
      told.push(toldBy(change));
      if (cache.stats().resyncs !== resyncs) served.clear();
      resyncs = cache.stats().resyncs;
      for (const each of this.caches) {
        const revision = each.get(change.key)?.revision;
        if (revision === undefined) continue;
        if (revision < (served.get(change.key) ?? 0n)) this.backwards.push(`${change.key} at ${revision}`);
        served.set(change.key, revision);
      }
    }
  }

  /** Waits until every cache knows the store up to `revision`, however long its connection takes. */
  async reached(revision: bigint): Promise<void> {
    const reaching = async (cache: Cache): Promise<void> => {
      for (;;) {
        try {
          await cache.read('any', { minRevision: revision });
          return;
        } catch (error) {
          if ((error as { readonly code?: string }).code !== 'UNAVAILABLE') throw error;
        }
      }
    };
    await Promise.all(this.caches.map(reaching));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#coordinator.close({ drainMs: 0 });
    await this.#reading;
    await this.proxy.stop();
  }
}
