import type { Clock } from '../../runtime/clock.ts';
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
import { WatchLife } from './watch-life.ts';
import type { Watcher } from './watchers.ts';

/** The cluster, as its clients reach it. */
export interface Endpoint {
  /** The cluster's own time, on which requests travel: it goes on when a client's stands still. */
  readonly clock: Clock;
  nextCallId(): number;
  receive(call: Call, respond: (answer: Answer | StoreError) => void): void;
  /** Returns what ends the watch. */
  open(watcher: Watcher): () => void;
}

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
  readonly #latencyMs: () => number;
  readonly #lives = new Set<WatchLife>();
  readonly #calls = new Set<(reason: StoreFailure, message: string) => void>();
  #closed = false;

  constructor(runtime: Runtime, endpoint: Endpoint, options: MemoryStoreOptions) {
    this.#runtime = runtime;
    this.#endpoint = endpoint;
    this.#latencyMs = options.latencyMs;
    this.name = options.name;
    this.faults = new Faults(() => this.#lives);
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
      this.#send(call, settle, (respond) => this.#endpoint.receive(call, respond));
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
    let isOpen = false;
    const life = new WatchLife(this.#runtime.clock, this.faults, {
      request,
      latencyMs: this.#latencyMs,
      onEnd: () => {
        signal.removeEventListener('abort', onAbort);
        this.#lives.delete(life);
        close();
      },
    });
    const onAbort = (): void =>
      life.end(new StoreError('cancelled', 'transient', 'The watch was cancelled', { cause: signal.reason }));
    this.#lives.add(life);
    signal.addEventListener('abort', onAbort, { once: true });

    const refusal = this.#refusal(signal);
    if (refusal !== undefined) {
      life.end(refusal);
      return life;
    }
    const call: Call = { method: 'watch', watch: request, id: this.#endpoint.nextCallId(), client: this.name };
    const onAnswer = (answer: Answer | StoreError): void => {
      if (answer instanceof StoreError) life.end(answer);
    };
    this.#send(call, onAnswer, (respond) => {
      this.#endpoint.receive(call, (answer) => {
        if (answer instanceof StoreError) respond(answer);
        else if (this.#lives.has(life) && !isOpen) {
          isOpen = true;
          const watcher: Watcher = {
            request,
            deliver: (batch) => life.send(batch),
            fail: (error) => life.sendError(error),
          };
          close = this.#endpoint.open(watcher);
        }
      });
    });
    return life;
  }

  /** Takes a request to the cluster, as far as the faults let it. */
  #send(
    call: Call,
    onAnswer: (answer: Answer | StoreError) => void,
    arrive: (respond: (answer: Answer | StoreError) => void) => void,
  ): void {
    const fault = this.faults.decideRequest(call);
    const deliver = (): void => arrive((answer) => this.#sendBack(call, answer, onAnswer));
    const travel = (extraMs: number): void => after(this.#endpoint.clock, this.#latencyMs() + extraMs, deliver);
    if (fault === 'deliver') travel(0);
    else if (fault === 'drop') return;
    else if (fault === 'park') this.faults.park(call, deliver);
    else if (fault === 'refuse') {
      const error = new StoreError('unreachable', 'transient', 'The connection was refused');
      after(this.#runtime.clock, 0, () => onAnswer(error));
    } else if ('delayMs' in fault) travel(fault.delayMs);
    else if ('refuseWith' in fault) after(this.#runtime.clock, 2 * this.#latencyMs(), () => onAnswer(fault.refuseWith));
    else {
      travel(0);
      travel(fault.duplicateAfterMs);
    }
  }

  #sendBack(call: Call, answer: Answer | StoreError, onAnswer: (answer: Answer | StoreError) => void): void {
    const fault = this.faults.decideResponse(call, answer);
    const travel = (what: Answer | StoreError, extraMs: number): void =>
      after(this.#runtime.clock, this.#latencyMs() + extraMs, () => onAnswer(what));
    if (fault === 'deliver') travel(answer, 0);
    else if (fault === 'drop') return;
    else if (fault === 'break') {
      const outcome = mayWrite(call) ? 'unknown' : 'transient';
      travel(new StoreError('unreachable', outcome, 'The connection broke before an answer came'), 0);
    } else if ('delayMs' in fault) travel(answer, fault.delayMs);
    else travel(fault.answer, 0);
  }
}

/** Without a delay no timer is needed, so a test without latency need not move its clock. */
function after(clock: Clock, delayMs: number, run: () => void): void {
  if (delayMs > 0) clock.schedule(delayMs, run);
  else void Promise.resolve().then(run);
}
