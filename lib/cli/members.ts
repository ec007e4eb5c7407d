import type { CompleteOptions } from '../coordinator-options.ts';
import { withinDeadline } from '../runtime/deadline.ts';
import { silentLogger } from '../runtime/logger.ts';
import { systemRuntime, type Runtime } from '../runtime/runtime.ts';
import { askForTargets, protectionOf } from '../store/etcd/discovery-sources.ts';
import { parseEndpoints } from '../store/etcd/endpoints.ts';
import { createEtcdStore } from '../store/etcd/etcd-store.ts';
import { srvName, systemResolveSrv } from '../store/etcd/srv.ts';
import { StoreError } from '../store/store-error.ts';
import type { StatusResponse, Store } from '../store/store.ts';

/** What a member of etcd says of itself. etcd 3.5.28 and later tell it to root alone. */
export type MemberReport =
  | ({ readonly endpoint: string; readonly answers: true; readonly isTold: true } & StatusResponse)
  | { readonly endpoint: string; readonly answers: true; readonly isTold: false }
  | { readonly endpoint: string; readonly answers: false; readonly why: string };

/** Who is refused has been answered. */
const REFUSALS: ReadonlySet<StoreError['reason']> = new Set(['denied', 'unauthenticated']);

/**
 * The members of etcd by their endpoints, each over a connection of its own: what a client only notices when it needs the other one. Where DNS is to
 * name them it is asked each time; while it does not answer, they are those that it named last, and before that it stands for them itself.
 */
export class Members implements AsyncDisposable {
  readonly #runtime: Runtime = systemRuntime(silentLogger);
  readonly #settings: CompleteOptions;
  readonly #stores = new Map<string, Store>();
  #named: readonly string[] = [];

  /** No I/O. */
  constructor(settings: CompleteOptions) {
    this.#settings = settings;
  }

  /** Asks all of them, at once, and DNS before that. Never rejects. */
  async ask(timeoutMs: number, signal?: AbortSignal): Promise<readonly MemberReport[]> {
    const { endpoints, discovery } = this.#settings;
    const failure =
      discovery?.srv === undefined ? undefined : await this.#askForNames(discovery.srv, timeoutMs, signal);
    const all = [...new Set([...endpoints, ...this.#named])];
    const reports = await Promise.all(all.map((endpoint) => this.#askOne(endpoint, timeoutMs, signal)));
    return failure === undefined || this.#named.length > 0 ? reports : [...reports, failure];
  }

  async #askForNames(
    domain: string,
    timeoutMs: number,
    caller: AbortSignal | undefined,
  ): Promise<MemberReport | undefined> {
    const { endpoints, tls } = this.#settings;
    const protection = protectionOf(endpoints.length === 0 ? [] : parseEndpoints(endpoints), tls);
    try {
      const targets = await withinDeadline(this.#runtime.clock, timeoutMs, caller, (signal) =>
        askForTargets(domain, protection, systemResolveSrv, signal),
      );
      this.#named = targets.map(({ endpoint }) => endpoint.url);
      return undefined;
    } catch (error) {
      return { endpoint: srvName(domain, protection.secure), answers: false, why: (error as Error).message };
    }
  }

  async #askOne(endpoint: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<MemberReport> {
    const store =
      this.#stores.get(endpoint) ?? storeOf({ ...this.#settings, endpoints: [endpoint], discovery: undefined });
    this.#stores.set(endpoint, store);
    try {
      return { endpoint, answers: true, isTold: true, ...(await store.status({ timeoutMs, signal })) };
    } catch (error) {
      if (error instanceof StoreError && REFUSALS.has(error.reason)) return { endpoint, answers: true, isTold: false };
      return { endpoint, answers: false, why: (error as Error).message };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#stores.values()].map((store) => store.close()));
  }
}

/** A connection without a coordinator. */
export function storeOf({ endpoints, discovery, auth, tls }: CompleteOptions): Store {
  return createEtcdStore(systemRuntime(silentLogger), { endpoints, discovery, auth, tls });
}
