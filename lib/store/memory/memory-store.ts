import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError, type StoreFailure } from '../store-error.ts';
import type {
  CallOptions,
  LeaseKeysResponse,
  LeaseResponse,
  RangeRequest,
  RangeResponse,
  StatusResponse,
  Store,
  Transaction,
  TransactionResponse,
  WatchBatch,
  WatchRequest,
} from '../store.ts';
import { mayWrite, type Answer, type Call, type Method, type Request } from './call.ts';
import { Faults } from './faults.ts';
import { Network, type Endpoint, type Respond } from './network.ts';
import { WatchLife } from './watch-life.ts';

/** As the adapter to a real etcd has it: how long a watch may wait to be accepted, and how long a silent connection is believed in. */
const WATCH_TIMEOUT_MS = 5_000;
export const SILENCE_TIMEOUT_MS = 7_000;

export interface MemoryStoreOptions {
  /** For fault rules and the log. */
  readonly name: string;
  /** How long a message is under way, one way, in milliseconds; `0` needs no timer. */
  readonly latencyMs: () => number;
}

/** A client of a {@link MemoryCluster}: the {@link Store} port with a network of one's own, whose faults a test decides. */
export class MemoryStore implements Store {
  readonly name: string;
  readonly faults: Faults;
  readonly #runtime: Runtime;
  readonly #endpoint: Endpoint;
  readonly #network: Network;
  readonly #latencyMs: () => number;
  readonly #lives = new Set<WatchLife>();
  readonly #calls = new Set<(reason: StoreFailure, message: string) => void>();
  #closed = false;

  constructor(runtime: Runtime, endpoint: Endpoint, options: MemoryStoreOptions) {
    this.#runtime = runtime;
    this.#endpoint = endpoint;
    this.#latencyMs = options.latencyMs;
    this.name = options.name;
    this.faults = new Faults(
      () => this.#lives,
      () => runtime.clock.schedule(SILENCE_TIMEOUT_MS, () => this.faults.disconnectWatches()),
    );
    this.#network = new Network(runtime.clock, endpoint, this.faults, options.latencyMs);
  }

  range(range: RangeRequest, options: CallOptions): Promise<RangeResponse> {
    return this.#call({ method: 'range', range }, options);
  }

  transact(transaction: Transaction, options: CallOptions): Promise<TransactionResponse> {
    return this.#call({ method: 'transact', transaction }, options);
  }

  grant(lease: bigint, ttlMs: number, options: CallOptions): Promise<LeaseResponse> {
    return this.#call({ method: 'grant', lease, ttlMs }, options);
  }

  revoke(lease: bigint, options: CallOptions): Promise<void> {
    return this.#call({ method: 'revoke', lease }, options);
  }

  renew(lease: bigint, options: CallOptions): Promise<LeaseResponse> {
    return this.#call({ method: 'renew', lease }, options);
  }

  leaseKeys(lease: bigint, options: CallOptions): Promise<LeaseKeysResponse> {
    return this.#call({ method: 'leaseKeys', lease }, options);
  }

  status(options: CallOptions): Promise<StatusResponse> {
    return this.#call({ method: 'status' }, options);
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    return { [Symbol.asyncIterator]: () => this.#openWatch(request, signal) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of [...this.#calls]) end('closed', 'The store was closed before an answer came');
    for (const life of [...this.#lives]) life.end(new StoreError('closed', 'permanent', 'The store is closed'));
  }

  #call<M extends Method>(request: Request & { readonly method: M }, options: CallOptions): Promise<Answer<M>> {
    const { timeoutMs, signal } = options;
    const refusal = this.#refusal(signal);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const call: Call = { ...request, id: this.#endpoint.nextCallId(), client: this.name };
      const settle = (answer: Answer | StoreError): void => {
        if (!this.#calls.delete(end)) return;
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        if (answer instanceof StoreError) reject(answer);
        else resolve(answer as Answer<M>);
      };
      const end = (reason: StoreFailure, message: string, cause?: unknown): void => {
        settle(new StoreError(reason, mayWrite(call) ? 'unknown' : 'transient', message, { cause }));
      };
      const onAbort = (): void =>
        end('cancelled', `The ${call.method} was cancelled after it was sent`, signal?.reason);
      const cancelTimer = this.#runtime.clock.schedule(timeoutMs, () =>
        end('timeout', `No answer to the ${call.method} within ${timeoutMs} ms`),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#calls.add(end);
      this.#network.send(call, settle, (arrived, respond) => this.#endpoint.receive(arrived, respond));
    });
  }

  /** Why nothing is sent at all. */
  #refusal(signal: AbortSignal | undefined): StoreError | undefined {
    if (this.#closed) return new StoreError('closed', 'permanent', 'The store is closed');
    if (signal?.aborted !== true) return undefined;
    return new StoreError('cancelled', 'transient', 'Cancelled before anything was sent', { cause: signal.reason });
  }

  #openWatch(request: WatchRequest, signal: AbortSignal): WatchLife {
    let close = (): void => undefined;
    const life = new WatchLife(this.#runtime.clock, this.faults, {
      request,
      latencyMs: this.#latencyMs,
      onEnd: () => {
        signal.removeEventListener('abort', onAbort);
        this.#lives.delete(life);
        cancelTimer();
        close();
      },
    });
    const onAbort = (): void =>
      life.end(new StoreError('cancelled', 'transient', 'The watch was cancelled', { cause: signal.reason }));
    const cancelTimer = this.#runtime.clock.schedule(WATCH_TIMEOUT_MS, () =>
      life.end(new StoreError('timeout', 'transient', `The watch was not accepted within ${WATCH_TIMEOUT_MS} ms`)),
    );
    this.#lives.add(life);
    signal.addEventListener('abort', onAbort, { once: true });

    const refusal = this.#refusal(signal);
    if (refusal !== undefined) {
      life.end(refusal);
      return life;
    }
    const call: Call = { method: 'watch', watch: request, id: this.#endpoint.nextCallId(), client: this.name };
    const { process } = this.#endpoint;
    const open = (): void => {
      cancelTimer();
      if (process !== this.#endpoint.process) {
        life.disconnect();
        return;
      }
      close = this.#endpoint.open({
        request,
        deliver: (batch) => life.send(batch),
        fail: (error) => life.sendError(error),
      });
      // Its very first message can have ended it, before there was anything to close.
      if (!this.#lives.has(life)) close();
    };
    const onRefused: Respond = (answer) => {
      if (answer instanceof StoreError) life.end(answer);
    };
    this.#network.send(call, onRefused, (arrived, respond) => {
      this.#endpoint.receive(arrived, (answer) => {
        if (answer instanceof StoreError) respond(answer);
        else if (this.#lives.has(life) && !life.isOpen) open();
      });
    });
    return life;
  }
}
