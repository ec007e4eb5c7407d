import { setTimeout as sleep } from 'node:timers/promises';
import type { Store, WatchEvent } from '../../lib/store/store.ts';
import { machineMs } from '../election/machine-clock.ts';

const RESUME_MS = 100;
const CALL = { timeoutMs: 2_000 };

/** An event of the store, and when the log learnt of it. */
export type LoggedEvent = WatchEvent & { readonly at: number };

export function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}

/** Everything that happens below a prefix, as a watch of the run's own tells it, past all outages: what really happened. */
export class StoreLog implements AsyncDisposable {
  readonly events: LoggedEvent[] = [];
  readonly #store: Store;
  readonly #prefix: string;
  readonly #over = new AbortController();
  readonly #following: Promise<void>;
  #revision: bigint;

  private constructor(store: Store, prefix: string, revision: bigint) {
    this.#store = store;
    this.#prefix = prefix;
    this.#revision = revision;
    this.#following = this.#follow();
  }

  static async start(store: Store, prefix: string): Promise<StoreLog> {
    const { revision } = await store.status(CALL);
    return new StoreLog(store, prefix, revision);
  }

  /** Of the last event. What is below may be compacted. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Writes a mark, and waits until the log has it: then it has everything from before. */
  async catchUp(withinMs: number): Promise<void> {
    const deadline = machineMs() + withinMs;
    let mark: bigint | undefined;
    while (mark === undefined || this.#revision < mark) {
      if (machineMs() > deadline) throw new Error(`The log of the store did not catch up within ${withinMs} ms.`);
      const put = { type: 'put', key: `${this.#prefix}mark`, value: '' } as const;
      mark ??= await this.#store.transact({ compare: [], then: [put] }, CALL).then(
        ({ revision }) => revision,
        () => undefined,
      );
      await sleep(RESUME_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        const request = { span: { prefix: this.#prefix }, fromRevision: this.#revision + 1n };
        for await (const { events } of this.#store.watch(request, signal)) {
          const at = machineMs();
          for (const event of events) {
            if (revisionOf(event) < this.#revision) throw new Error(`etcd itself went back to ${revisionOf(event)}`);
            this.events.push({ ...event, at });
          }
          const last = events.at(-1);
          if (last !== undefined) this.#revision = revisionOf(last);
        }
      } catch (error) {
        if ((error as { readonly reason?: string }).reason === 'compacted') throw error;
        await sleep(RESUME_MS);
      }
    }
  }
}
