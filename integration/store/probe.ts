import { randomBytes } from 'node:crypto';
import { StoreError } from '../../lib/store/store-error.ts';
import type { Store, Transaction, WatchBatch, WatchRequest } from '../../lib/store/store.ts';
import { certificates } from '../servers/access.ts';

/** How a call ended, and after how long. */
export interface Verdict {
  /** `ok`, or the reason and the outcome of the StoreError. */
  readonly result: string;
  readonly tookMs: number;
  readonly error: StoreError | undefined;
}

/** Waits for a call to settle. What is not a StoreError is thrown on: the port promises that there is none. */
export async function verdictOf(call: Promise<unknown>): Promise<Verdict> {
  const startedAt = performance.now();
  try {
    await call;
    return { result: 'ok', tookMs: performance.now() - startedAt, error: undefined };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { result: `${error.reason} ${error.outcome}`, tookMs: performance.now() - startedAt, error };
  }
}

export const putting = (key: string, value = 'value'): Transaction => ({
  compare: [],
  then: [{ type: 'put', key, value }],
});

export const newLease = (): bigint => randomBytes(8).readBigUInt64BE() >> 1n;

/** One call of each kind, by name. */
export function everyCall(store: Store, timeoutMs: number): Record<string, Promise<Verdict>> {
  const options = { timeoutMs };
  return {
    range: verdictOf(store.range({ prefix: 'test/a' }, options)),
    transact: verdictOf(store.transact(putting('test/every-call'), options)),
    'transact (only reading)': verdictOf(
      store.transact({ compare: [], then: [{ type: 'range', key: 'test/a' }] }, options),
    ),
    grant: verdictOf(store.grant(newLease(), 60_000, options)),
    revoke: verdictOf(store.revoke(newLease(), options)),
    renew: verdictOf(store.renew(newLease(), options)),
    leaseKeys: verdictOf(store.leaseKeys(newLease(), options)),
    status: verdictOf(store.status(options).catch(unlessDenied)),
  };
}

/** etcd 3.5.28 and later tell their status to root alone: where access is restricted, to be refused is an answer as well. */
function unlessDenied(error: unknown): void {
  if (!(certificates !== undefined && error instanceof StoreError && error.reason === 'denied')) throw error;
}

/** Resolves to all verdicts, by name. */
export async function settled(calls: Record<string, Promise<Verdict>>): Promise<Record<string, Verdict>> {
  const entries = Object.entries(calls).map(async ([name, verdict]) => [name, await verdict] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** Only the results of {@link settled}. */
export function results(verdicts: Record<string, Verdict>): Record<string, string> {
  return Object.fromEntries(Object.entries(verdicts).map(([name, { result }]) => [name, result]));
}

/** Reads a watch, and keeps what it delivered and how it ended. */
export class Watching {
  readonly batches: WatchBatch[] = [];
  /** Resolves with how it ended. */
  readonly ended: Promise<Verdict>;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  #verdict: Verdict | undefined;

  constructor(store: Store, request: WatchRequest) {
    this.ended = verdictOf(this.#read(store, request)).then((verdict) => {
      this.#verdict = verdict;
      this.#notify();
      return verdict;
    });
  }

  get keys(): string[] {
    return this.batches.flatMap((batch) =>
      batch.events.map((event) => (event.type === 'put' ? event.entry.key : event.key)),
    );
  }

  /** Resolves once `condition` holds, which is looked at after each batch. Rejects if the watch ends before. */
  async until(condition: (watching: this) => boolean): Promise<void> {
    while (!condition(this)) {
      if (this.#verdict !== undefined)
        throw new Error(`The watch ended: ${this.#verdict.result}`, { cause: this.#verdict.error });
      await new Promise<void>((resolve) => {
        this.#listeners.add(resolve);
      });
    }
  }

  stop(): Promise<Verdict> {
    this.#stop.abort(new Error('The test is over'));
    return this.ended;
  }

  async #read(store: Store, request: WatchRequest): Promise<void> {
    for await (const batch of store.watch(request, this.#stop.signal)) {
      this.batches.push(batch);
      this.#notify();
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

/** A watch that is accepted, once there is a connection. It must not be given up for want of an answer before that. */
export async function opened(watch: () => Watching): Promise<Watching> {
  for (;;) {
    const watching = watch();
    const isOpen = await watching
      .until(({ batches }) => batches.length > 0)
      .then(
        () => true,
        () => false,
      );
    if (isOpen) return watching;
    const { error } = await watching.ended;
    if (error?.reason !== 'unreachable') throw new Error('The watch was given up', { cause: error });
  }
}
