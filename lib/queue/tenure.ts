import { ClosedError } from '../errors.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Compare } from '../store/store.ts';
import type { Departure } from './departure.ts';
import type { Holder, Ticket } from './ticket.ts';

/** How a tenure stands. Changed in one place; nothing leads back. */
type State =
  | { readonly is: 'held' }
  | { readonly is: 'lost'; readonly error: Error }
  | { readonly is: 'released'; readonly departure: Promise<Departure> };

/**
 * What a holder has: a queue owned from a token on, until it is released or lost, whichever is first.
 *
 * `isHeld()` reads the clock and is exact. The signal aborts by a timer before the server could let the next one in, as far as the
 * event loop lets it. Neither is proof for a resource: only a guard is, since the process can be paused between the check and the
 * write.
 */
export class Tenure implements Holder {
  readonly token: bigint;
  readonly #runtime: Runtime;
  readonly #ticket: Ticket;
  readonly #lossOf: (reason: Error) => Error;
  readonly #end: (tenure: Tenure) => Promise<Departure>;
  #ended: PromiseWithResolver<void> | undefined;
  #controller: AbortController | undefined;
  #interruption: { readonly reason: unknown } | undefined;
  #state: State = { is: 'held' };

  /**
   * `lossOf` makes the error of a loss: a LockLostError for a lock, a LeadershipLostError for a leadership. `end` is called once, when
   * the tenure is released or lost; what becomes of its key after a release is what it resolves to.
   */
  constructor(
    runtime: Runtime,
    ticket: Ticket,
    lossOf: (reason: Error) => Error,
    end: (tenure: Tenure) => Promise<Departure>,
  ) {
    this.#runtime = runtime;
    this.#ticket = ticket;
    this.#lossOf = lossOf;
    this.#end = end;
    this.token = ticket.grant(this);
  }

  /** The key in etcd that this tenure rests on. */
  get key(): string {
    return this.#ticket.key;
  }

  /** The number of its slot, where several may have the queue at once. */
  get slot(): number | undefined {
    return this.#ticket.slot;
  }

  /** The lease that the key is on. */
  get lease(): bigint {
    return this.#ticket.session.lease;
  }

  /** The condition under which the key still is this tenure's. */
  get standing(): Compare {
    return { key: this.#ticket.key, target: 'create', is: '=', than: this.#ticket.createRevision ?? -1n };
  }

  /** Made when first asked for: most tenures are over before anybody looks. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#state.is === 'lost') this.#controller.abort(this.#state.error);
      else if (this.#interruption !== undefined) this.#controller.abort(this.#interruption.reason);
    }
    return this.#controller.signal;
  }

  /** Resolves when the tenure is released or lost. Made when first asked for, too. */
  get ended(): Promise<void> {
    if (this.#state.is !== 'held') return Promise.resolve();
    this.#ended ??= withResolver();
    return this.#ended.promise;
  }

  isHeld(): boolean {
    return this.#state.is === 'held' && this.#ticket.session.isValid();
  }

  assertHeld(): void {
    if (!this.isHeld()) throw this.loss() ?? this.#lossOf(new Error('it was released'));
  }

  /** Milliseconds until it is not held any more unless a renewal is answered; 0 if it is not held now. */
  remainingMs(): number {
    return this.#state.is === 'held' ? this.#ticket.session.remainingMs() : 0;
  }

  /** The error of the loss; `undefined` while held, and after a release. Decided by the clock, not by whether a timer has come round. */
  loss(): Error | undefined {
    if (this.#state.is === 'lost') return this.#state.error;
    if (this.#state.is === 'released' || this.#ticket.session.isValid()) return undefined;
    return this.#lossOf(new Error('its session can no longer be trusted'));
  }

  /** The compares under which this tenure's key still stands, for a transaction of the caller's own. The key has no other holder then. */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    this.assertHeld();
    this.#ticket.pin();
    const { key, createRevision } = this.#ticket.fence;
    return [withDecimals({ key, createRevision })];
  }

  /** Why the work was told to stop although the tenure was not lost, if it was. */
  get interruption(): { readonly reason: unknown } | undefined {
    return this.#interruption;
  }

  /**
   * Tells the work to stop although the tenure is not lost: the caller's own signal aborted, or the coordinator closes. Work that has
   * released the tenure itself and goes on is told as well.
   */
  interrupt(reason: unknown): void {
    if (this.#state.is === 'lost' || this.#interruption !== undefined) return;
    this.#interruption = { reason };
    this.#controller?.abort(reason);
  }

  /**
   * Ends the tenure; `isHeld()` is false from here on. Resolves with how the key went: `missing` means that it had been lost already,
   * unnoticed. Idempotent. The deleting goes on in the background for as long as it takes, whoever waits for it.
   */
  release(): Promise<Departure> {
    if (this.#state.is === 'lost') return Promise.resolve('missing');
    if (this.#state.is === 'held') {
      /* Before anybody else can have it. */
      this.#state = { is: 'released', departure: LEFT };
      this.#state = { is: 'released', departure: this.#end(this) };
      this.#ended?.resolve();
    }
    return this.#state.departure;
  }

  /** Its ticket says that the key, or the session, is gone. */
  lost(reason: Error): void {
    if (this.#state.is !== 'held') return;
    const error = reason instanceof ClosedError ? reason : this.#lossOf(reason);
    this.#state = { is: 'lost', error };
    this.#runtime.logger.warn(error.message, { event: 'tenure.lost', token: this.token, reason: reason.message });
    this.#controller?.abort(error);
    void this.#end(this);
    this.#ended?.resolve();
  }
}

const LEFT: Promise<Departure> = Promise.resolve('left');

interface PromiseWithResolver<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolver<T>(): PromiseWithResolver<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
