import { StoreError } from '../store-error.ts';
import type {
  CallOptions,
  Operation,
  OperationResponse,
  Span,
  Store,
  TransactionResponse,
  WatchBatch,
  WatchEvent,
} from '../store.ts';

/** What a case needs of a test's assertions: ava's `t` has it. */
export interface Assert {
  is(actual: unknown, expected: unknown, message?: string): void;
  deepEqual(actual: unknown, expected: unknown, message?: string): void;
  true(actual: unknown, message?: string): void;
}

/** The world around the store. */
export interface ContractWorld {
  /** Keys of this case alone begin with it. It ends with a slash. */
  readonly prefix: string;
  /** A lease ID that nobody has used. */
  readonly newLease: () => bigint;
  /** Lets so much time pass, really or virtually. */
  readonly pass: (durationMs: number) => Promise<void>;
  /** The same time, in milliseconds. Only the difference of two means anything. */
  readonly now: () => number;
  /** Compacts the store's history, as an operator does it. */
  readonly compact: (revision: bigint) => Promise<void>;
  /** Another client of the same store, which the case may close. */
  readonly connect: () => Promise<Store>;
}

/** A claim about every implementation of the {@link Store} port. Cases run one at a time: they count revisions. */
export interface ContractCase {
  readonly title: string;
  readonly run: (t: Assert, store: Store, world: ContractWorld) => Promise<void>;
}

export const call: CallOptions = { timeoutMs: 5_000 };

export function put(key: string, value = 'value', lease?: bigint): Operation {
  return lease === undefined ? { type: 'put', key, value } : { type: 'put', key, value, lease };
}

/** A transaction without conditions. */
export function apply(store: Store, ...operations: readonly Operation[]): Promise<TransactionResponse> {
  return store.transact({ compare: [], then: operations }, call);
}

/** One answer of a transaction, which must be of this kind. */
export function answer<T extends OperationResponse['type']>(
  response: TransactionResponse,
  index: number,
  type: T,
): Extract<OperationResponse, { readonly type: T }> {
  const found = response.responses[index];
  if (found?.type !== type) throw new Error(`Expected answer ${index} to be a ${type}, got ${found?.type}`);
  return found as Extract<OperationResponse, { readonly type: T }>;
}

/** The error of a call that must fail. */
export async function failure(promise: Promise<unknown>): Promise<StoreError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('Expected a StoreError, and the call succeeded');
}

/** Reads a watch: batches as they come, or only those that have events. */
export class WatchReader implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #batches: AsyncIterator<WatchBatch>;
  /** What {@link isSilent} waited for in vain, for the next who waits. */
  #awaited: Promise<WatchBatch> | undefined;

  constructor(store: Store, span: Span, fromRevision: bigint) {
    this.#batches = store.watch({ span, fromRevision }, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async batch(): Promise<WatchBatch> {
    const result = await this.#batches.next();
    if (result.done === true) throw new Error('Expected a batch, and the watch has ended');
    return result.value;
  }

  /** The next batch that has events. */
  events(): Promise<WatchBatch> {
    const events = this.#awaited ?? this.#nextEvents();
    this.#awaited = undefined;
    return events;
  }

  /** The next events, in short; at least so many, and up to the end of their batch. */
  async take(count: number): Promise<readonly string[]> {
    const events: string[] = [];
    while (events.length < count) events.push(...(await this.events()).events.map(brief));
    return events;
  }

  /** Whether no event comes before the time has passed. */
  async isSilent(timeHasPassed: Promise<void>): Promise<boolean> {
    this.#awaited = this.events();
    return await Promise.race([this.#awaited.then(() => false), timeHasPassed.then(() => true)]);
  }

  abort(reason: unknown): void {
    this.#stop.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#awaited?.catch(() => undefined);
    this.#stop.abort();
    await this.#batches.return?.();
  }

  async #nextEvents(): Promise<WatchBatch> {
    let batch = await this.batch();
    while (batch.events.length === 0) batch = await this.batch();
    return batch;
  }
}

/** An event in short: `put key=value` or `delete key`. */
export function brief(event: WatchEvent): string {
  return event.type === 'put' ? `put ${event.entry.key}=${event.entry.value}` : `delete ${event.key}`;
}
