import type { Bulkhead } from '../../resilience/bulkhead.ts';
import { elapsedMs, type Clock, type Instant } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { CallKind } from './grpc-errors.ts';

/** What a call waits for unless something else is said. */
const ANSWER = 'an answer';

/**
 * The life of one call: it ends by its timeout, by its caller's signal or by the closing of the store, whichever comes first, and
 * whatever the network does. Attempts within it have bounds of their own ({@link part}).
 */
export class Bounds {
  readonly #clock: Clock;
  readonly #kind: CallKind;
  readonly #what: string;
  readonly #timeoutMs: number;
  readonly #startedAt: Instant;
  readonly #parent: Bounds | undefined;
  readonly #onEnd = new Set<(error: StoreError) => void>();
  readonly #stopTimer: () => void;
  #ended: StoreError | undefined;
  #sent = false;
  #waitingFor = ANSWER;

  constructor(clock: Clock, kind: CallKind, what: string, timeoutMs: number, parent?: Bounds) {
    this.#clock = clock;
    this.#kind = kind;
    this.#what = what;
    this.#timeoutMs = timeoutMs;
    this.#startedAt = clock.now();
    this.#parent = parent;
    this.#stopTimer = clock.schedule(timeoutMs, () => {
      this.end('timeout', `${this.#what} waited ${Math.round(timeoutMs)} ms for ${this.#waitingFor}`);
    });
    parent?.onEnd(this.#follow);
  }

  /** How it ended, if it has. */
  get ended(): StoreError | undefined {
    return this.#ended;
  }

  throwIfEnded(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  get remainingMs(): number {
    return Math.max(0, this.#timeoutMs - elapsedMs(this.#startedAt, this.#clock.now()));
  }

  /** A request has left, or no trace of it is left at the server because it was refused. */
  set sent(sent: boolean) {
    this.#sent = sent;
    if (this.#parent !== undefined) this.#parent.sent = sent;
  }

  /** What a timeout would have been spent on, for the message. */
  set waitingFor(what: string) {
    this.#waitingFor = what;
    if (this.#parent !== undefined) this.#parent.waitingFor = what;
  }

  /** Shorter bounds within these. To be {@link release released}. */
  part(timeoutMs: number): Bounds {
    const part = new Bounds(this.#clock, this.#kind, this.#what, Math.min(timeoutMs, this.remainingMs), this);
    part.#sent = this.#sent;
    part.#waitingFor = this.#waitingFor;
    return part;
  }

  /** Ends it now. What was sent and not answered has an unknown outcome if it writes. */
  end(reason: 'timeout' | 'cancelled' | 'closed', message: string, cause?: unknown): void {
    const notApplied = reason === 'closed' ? 'permanent' : 'transient';
    const outcome = this.#sent && this.#kind === 'write' ? 'unknown' : notApplied;
    this.#settle(new StoreError(reason, outcome, message, cause === undefined ? {} : { cause }));
  }

  /** Calls `listener` when it ends, at once if it has. Returns what removes the listener. */
  onEnd(listener: (error: StoreError) => void): () => void {
    if (this.#ended !== undefined) {
      listener(this.#ended);
      return () => undefined;
    }
    this.#onEnd.add(listener);
    return () => this.#onEnd.delete(listener);
  }

  /** Resolves when `promise` does, or to how these bounds ended if that is sooner. */
  orEnd(promise: Promise<unknown>): Promise<StoreError | undefined> {
    return new Promise((resolve, reject) => {
      const remove = this.onEnd(resolve);
      promise.then(() => resolve(undefined), reject).finally(remove);
    });
  }

  /** Waits for a place in `bulkhead`. Throws how these bounds ended if that is sooner; then no place is taken. */
  async enter(bulkhead: Bulkhead): Promise<void> {
    if (!bulkhead.tryEnter()) {
      this.waitingFor = 'its turn';
      const admitted = new Promise<boolean>((resolve) => {
        const giveUp = bulkhead.queue(() => resolve(true));
        this.onEnd(() => resolve(!giveUp()));
      });
      if (!(await admitted)) throw this.#ended ?? new Error('unreachable');
      this.waitingFor = ANSWER;
    }
    if (this.#ended !== undefined) {
      bulkhead.leave();
      throw this.#ended;
    }
  }

  /** The call is over: its timer and listeners go. */
  release(): void {
    this.#stopTimer();
    this.#parent?.forget(this.#follow);
    this.#onEnd.clear();
  }

  protected forget(listener: (error: StoreError) => void): void {
    this.#onEnd.delete(listener);
  }

  readonly #follow = (error: StoreError): void => this.#settle(error);

  #settle(error: StoreError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    const listeners = [...this.#onEnd];
    this.release();
    for (const listener of listeners) listener(error);
  }
}
