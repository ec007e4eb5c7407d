import type { CompleteOptions } from '../coordinator-options.ts';
import { silentLogger } from '../runtime/logger.ts';
import { systemRuntime } from '../runtime/runtime.ts';
import { createEtcdStore } from '../store/etcd/etcd-store.ts';
import { StoreError } from '../store/store-error.ts';
import type { StatusResponse, Store } from '../store/store.ts';

/** What a member of etcd says of itself. etcd 3.5.28 and later tell it to root alone; who is refused has been answered. */
export type MemberReport =
  | ({ readonly endpoint: string; readonly answers: true; readonly isTold: true } & StatusResponse)
  | { readonly endpoint: string; readonly answers: true; readonly isTold: false }
  | { readonly endpoint: string; readonly answers: false; readonly why: string };

/** The members of etcd by their endpoints, each over a connection of its own: what a client only notices when it needs the other one. */
export class Members implements AsyncDisposable {
  readonly #stores: readonly (readonly [endpoint: string, store: Store])[];

  /** No I/O. */
  constructor(settings: CompleteOptions) {
    this.#stores = settings.endpoints.map((endpoint) => [endpoint, storeOf(settings, [endpoint])]);
  }

  /** Asks all of them, at once. Never rejects. */
  ask(timeoutMs: number, signal?: AbortSignal): Promise<readonly MemberReport[]> {
    return Promise.all(
      this.#stores.map(async ([endpoint, store]): Promise<MemberReport> => {
        try {
          return { endpoint, answers: true, isTold: true, ...(await store.status({ timeoutMs, signal })) };
        } catch (error) {
          if (error instanceof StoreError && error.reason === 'denied')
            return { endpoint, answers: true, isTold: false };
          return { endpoint, answers: false, why: (error as Error).message };
        }
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#stores.map(([, store]) => store.close()));
  }
}

/** A connection without a coordinator. */
export function storeOf({ auth, tls }: CompleteOptions, endpoints: readonly string[]): Store {
  return createEtcdStore(systemRuntime(silentLogger), { endpoints, auth, tls });
}
