import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, Store, WatchEvent } from '../../lib/store/store.ts';
import { machineMs } from '../election/machine-clock.ts';
import { until } from '../lock/support/until.ts';

const RESUME_MS = 100;
const CALL = { timeoutMs: 2_000 };

/** Below the prefix: put by the log itself, with the machine's time as its value. */
export const MARK = 'mark';

/** An event of the store, and when the log learnt of it. */
export type LoggedEvent = WatchEvent & { readonly at: number };

export function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}

/** The newest revision that there is. Asks until it is answered: an etcd that has just started takes its time. */
export async function newestRevision(store: Store): Promise<bigint> {
  return await until('etcd to say its revision', () =>
    store.status(CALL).then(
      ({ revision }) => revision,
      () => 0n,
    ),
  );
}

/** Everything that happens below a prefix, as a watch of the run's own tells it, past all outages: what really happened. */
export class StoreLog implements AsyncDisposable {
  readonly events: LoggedEvent[];
  readonly #store: Store;
  readonly #prefix: string;
  readonly #over = new AbortController();
  readonly #following: Promise<void>;
  #revision: bigint;

  private constructor(store: Store, prefix: string, revision: bigint, past: readonly LoggedEvent[]) {
    this.events = [...past];
    this.#store = store;
    this.#prefix = prefix;
    this.#revision = revision;
    this.#following = this.#follow();
  }

  static async start(store: Store, prefix: string): Promise<StoreLog> {
    return new StoreLog(store, prefix, await newestRevision(store), []);
  }

  /** After a restore: what was there up to the backup's revision is the past, and what comes after it is new. */
  static resume(store: Store, prefix: string, past: readonly LoggedEvent[], revision: bigint): StoreLog {
    return new StoreLog(
      store,
      prefix,
      revision,
      past.filter((event) => revisionOf(event) <= revision),
    );
  }

  /** Of the last event. What is below may be compacted. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Writes a mark, and waits until the log has it: then it has everything from before. */
  async catchUp(withinMs: number): Promise<void> {
    const value = String(machineMs());
    const isMark = (event: WatchEvent): boolean => event.type === 'put' && event.entry.value === value;
    await this.#see([{ type: 'put', key: this.#mark, value }], isMark, withinMs);
  }

  /** The same by deleting the mark and everything below a prefix, which an etcd without space still does. */
  async catchUpDeleting(prefix: string, withinMs: number): Promise<void> {
    const operations: readonly Operation[] = [
      { type: 'delete', prefix },
      { type: 'delete', key: this.#mark },
    ];
    await this.#see(operations, (event) => event.type === 'delete' && event.key === this.#mark, withinMs);
  }

  get #mark(): string {
    return `${this.#prefix}${MARK}`;
  }

  /** An attempt that failed may have been applied: what counts is what the log sees. */
  async #see(then: readonly Operation[], isSought: (event: WatchEvent) => boolean, withinMs: number): Promise<void> {
    const deadline = machineMs() + withinMs;
    const from = this.events.length;
    let isDone = false;
    while (!this.events.slice(from).some(isSought)) {
      if (machineMs() > deadline) throw new Error(`The log of the store did not catch up within ${withinMs} ms.`);
      isDone ||= await this.#store.transact({ compare: [], then }, CALL).then(
        () => true,
        () => false,
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
