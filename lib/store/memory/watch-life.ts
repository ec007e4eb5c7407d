import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { WatchBatch, WatchRequest } from '../store.ts';
import type { Faults, WatchLine } from './faults.ts';

type Message = { readonly batch: WatchBatch } | { readonly error: StoreError };

export interface WatchLifeOptions {
  readonly request: WatchRequest;
  /** How long the next message is under way; `0` delivers it at once. */
  readonly latencyMs: () => number;
  /** Called once, however the watch ended. */
  readonly onEnd: () => void;
}

/** The client's end of a watch: one life, from its first batch to its error. Messages arrive in order, whatever delays one of them. */
export class WatchLife implements AsyncIterator<WatchBatch>, WatchLine {
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #options: WatchLifeOptions;
  readonly #inbox: Message[] = [];
  readonly #held: Message[] = [];
  /** In the order in which they were sent, whatever rounding does to the times at which they arrive. */
  readonly #underWay: Message[] = [];
  readonly #arrivals = new Set<() => void>();
  #isOpen = false;
  #holding = false;
  #lastDueMs = 0;
  #ended = false;
  #waiting: ((message: Message | undefined) => void) | undefined;

  constructor(clock: Clock, faults: Faults, options: WatchLifeOptions) {
    this.#clock = clock;
    this.#faults = faults;
    this.#options = options;
  }

  /** Whether the cluster has accepted the watch. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The cluster sends a batch. */
  send(batch: WatchBatch): void {
    this.#isOpen = true;
    const fault = this.#faults.decideWatch(this.#options.request, batch);
    const message = { batch };
    if (fault === 'drop') return;
    if (fault === 'break') {
      this.disconnect();
      return;
    }
    if (fault === 'hold') this.#holding = true;
    this.#carry(message, typeof fault === 'object' ? fault.delayMs : 0);
    if (fault === 'duplicate') this.#carry(message, 0);
  }

  /** The cluster ends the watch, after all that it sent before. */
  sendError(error: StoreError): void {
    this.#carry({ error }, 0);
  }

  /** Ends the watch here and now; what is under way is lost. */
  end(error: StoreError): void {
    if (this.#ended) return;
    this.#finish();
    this.#inbox.length = 0;
    this.#receive({ error });
  }

  release(): void {
    this.#holding = false;
    for (const message of this.#held.splice(0)) this.#carry(message, 0);
  }

  disconnect(): void {
    this.end(new StoreError('unreachable', 'transient', 'The connection broke'));
  }

  async next(): Promise<IteratorResult<WatchBatch, undefined>> {
    const message =
      this.#inbox.shift() ??
      (this.#ended
        ? undefined
        : await new Promise<Message | undefined>((resolve) => {
            this.#waiting = resolve;
          }));
    if (message === undefined) return { done: true, value: undefined };
    if ('error' in message) {
      this.#finish();
      throw message.error;
    }
    return { done: false, value: message.batch };
  }

  async return(): Promise<IteratorResult<WatchBatch, undefined>> {
    this.#finish();
    this.#inbox.length = 0;
    this.#waiting?.(undefined);
    return { done: true, value: undefined };
  }

  #carry(message: Message, extraMs: number): void {
    if (this.#ended) return;
    if (this.#holding) {
      this.#held.push(message);
      return;
    }
    const nowMs = this.#clock.now().monotonicMs;
    const delayMs = Math.max(this.#options.latencyMs() + extraMs, this.#lastDueMs - nowMs);
    this.#lastDueMs = nowMs + delayMs;
    if (delayMs === 0 && this.#underWay.length === 0) {
      this.#receive(message);
      return;
    }
    this.#underWay.push(message);
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#arrivals.delete(cancel);
      const next = this.#underWay.shift();
      if (next !== undefined) this.#receive(next);
    });
    this.#arrivals.add(cancel);
  }

  #receive(message: Message): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#inbox.push(message);
    else waiting(message);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const cancel of this.#arrivals) cancel();
    this.#underWay.length = 0;
    this.#options.onEnd();
  }
}
