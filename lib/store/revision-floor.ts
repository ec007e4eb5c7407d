import type { Runtime } from '../runtime/runtime.ts';
import { StoreError } from './store-error.ts';
import type {
  CallOptions,
  LeaseKeysResponse,
  LeaseResponse,
  Operation,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  Store,
  Transaction,
  TransactionResponse,
  WatchBatch,
  WatchRequest,
} from './store.ts';

/**
 * Notices that the store's revision went back, which is all that a restore from a snapshot shows: cluster ID and term stay.
 *
 * The proof is an answer that went through raft and whose revision is below the highest one received *before it was sent*. A member
 * that lags behind, or an answer that was long under way, proves nothing and raises no alarm. After an alarm the floor starts anew
 * from the answer, in a new era; what was sent in an older era is not held against it.
 */
export class RevisionFloor implements Store {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #onRegress: (error: StoreError) => void;
  #highest = 0n;
  #era = 0;

  constructor(runtime: Runtime, store: Store, onRegress: (error: StoreError) => void) {
    this.#runtime = runtime;
    this.#store = store;
    this.#onRegress = onRegress;
  }

  /** The highest revision that any answer has shown. */
  get highest(): bigint {
    return this.#highest;
  }

  async range(request: RangeRequest, options: CallOptions): Promise<RangeResponse> {
    const era = this.#era;
    return this.#raise(era, await this.#store.range(request, options));
  }

  async transact(transaction: Transaction, options: CallOptions): Promise<TransactionResponse> {
    const sent = { era: this.#era, floor: this.#highest };
    const response = await this.#store.transact(transaction, options);
    return writes(transaction) ? this.#prove(sent, response) : this.#raise(sent.era, response);
  }

  async grant(lease: bigint, ttlMs: number, options: CallOptions): Promise<LeaseResponse> {
    const sent = { era: this.#era, floor: this.#highest };
    return this.#prove(sent, await this.#store.grant(lease, ttlMs, options));
  }

  revoke(lease: bigint, options: CallOptions): Promise<void> {
    return this.#store.revoke(lease, options);
  }

  renew(lease: bigint, options: CallOptions): Promise<LeaseResponse> {
    return this.#store.renew(lease, options);
  }

  leaseKeys(lease: bigint, options: CallOptions): Promise<LeaseKeysResponse> {
    return this.#store.leaseKeys(lease, options);
  }

  status(options: CallOptions): Promise<StatusResponse> {
    return this.#store.status(options);
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    const era = this.#era;
    return new Seen(this.#store.watch(request, signal), (batch) => this.#raise(era, batch));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #raise<T extends { readonly revision: bigint }>(era: number, response: T): T {
    if (era === this.#era && response.revision > this.#highest) this.#highest = response.revision;
    return response;
  }

  #prove<T extends { readonly revision: bigint }>(
    sent: { readonly era: number; readonly floor: bigint },
    response: T,
  ): T {
    if (sent.era !== this.#era || response.revision === 0n || response.revision >= sent.floor) {
      return this.#raise(sent.era, response);
    }
    this.#era += 1;
    this.#highest = response.revision;
    const error = new StoreError(
      'regressed',
      'unknown',
      `etcd's revision went back to ${response.revision}, after ${sent.floor} had been seen`,
    );
    this.#runtime.logger.error(error.message, {
      event: 'store.regressed',
      revision: response.revision,
      seen: sent.floor,
    });
    this.#onRegress(error);
    throw error;
  }
}

/** What a source gives, once `see` has seen it. Not a generator: a suspended one takes half a kilobyte, and there can be ten thousand watches. */
class Seen<T> implements AsyncIterableIterator<T> {
  readonly #source: AsyncIterator<T>;
  readonly #look: (result: IteratorResult<T>) => IteratorResult<T>;

  constructor(source: AsyncIterable<T>, see: (value: T) => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#look = (result) => {
      if (result.done !== true) see(result.value);
      return result;
    };
  }

  next(): Promise<IteratorResult<T>> {
    return this.#source.next().then(this.#look);
  }

  async return(): Promise<IteratorResult<T>> {
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Whether a transaction goes through raft: one that only reads is answered by the member that got it. */
function writes(transaction: Transaction): boolean {
  const operations: readonly Operation[] = [...transaction.then, ...(transaction.otherwise ?? [])];
  return operations.some((operation) => (operation.type === 'txn' ? writes(operation) : operation.type !== 'range'));
}
