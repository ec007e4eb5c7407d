import type { Tenure } from '../queue/tenure.ts';

/** The turn to do the work of a key: what the work is given. It ends with the work, by loss, or with the coordinator. */
export class Turn {
  /** The key as it was given to `once`. Pass it on as the idempotency key: whoever has to do the work again has the same. */
  readonly key: string;
  /**
   * The fencing token: greater than that of every earlier turn at this key, over all processes and restarts. Present it to a guard at
   * the resource, before the first read of a read-modify-write.
   */
  readonly token: bigint;
  readonly #tenure: Tenure;

  /** @internal */
  constructor(key: string, tenure: Tenure) {
    this.key = key;
    this.token = tenure.token;
    this.#tenure = tenure;
  }

  /**
   * Aborts, with LockLostError as its reason, before another process can have the turn, as far as the event loop lets it. Aborts also,
   * while the turn is still held, when the coordinator closes (ClosedError) and when the signal given to `once` aborts (its reason): the
   * work is to come to an end. What it returns all the same is recorded.
   */
  get signal(): AbortSignal {
    return this.#tenure.signal;
  }

  /** Whether the turn is held now. Reads the clock, so it is right even when timers are late. No I/O. */
  isHeld(): boolean {
    return this.#tenure.isHeld();
  }

  /** Throws LockLostError unless the turn is held now. */
  assertHeld(): void {
    this.#tenure.assertHeld();
  }

  /** Milliseconds until the turn is not held any more unless the session is renewed before; 0 when it is not held. */
  remainingMs(): number {
    return this.#tenure.remainingMs();
  }

  /** The compare by which a transaction of the caller's own in the same etcd can require this turn. Throws LockLostError. */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    return this.#tenure.ifHeld();
  }

  toJSON(): { key: string; token: string } {
    return { key: this.key, token: this.token.toString() };
  }
}
