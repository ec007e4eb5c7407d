import type { Tenure } from '../queue/tenure.ts';

/** A lock that was acquired. It ends by {@link release}, by loss, or with the coordinator. */
export class HeldLock implements AsyncDisposable {
  /** The name it was asked for by. */
  readonly name: string;
  /**
   * The fencing token: greater than that of every earlier holder of this lock, over all processes and restarts. Present it to a guard
   * at the resource, before the first read of a read-modify-write.
   */
  readonly token: bigint;
  readonly #tenure: Tenure;
  readonly #release: (tenure: Tenure) => Promise<unknown>;

  /** @internal */
  constructor(name: string, tenure: Tenure, release: (tenure: Tenure) => Promise<unknown>) {
    this.name = name;
    this.token = tenure.token;
    this.#tenure = tenure;
    this.#release = release;
  }

  /**
   * Aborts, with LockLostError as its reason, before another process can hold the lock, as far as the event loop lets it. Aborts
   * also, while the lock is still held, when the coordinator closes (ClosedError) and when the signal given to `with` aborts (its
   * reason): the work is to come to an end.
   */
  get signal(): AbortSignal {
    return this.#tenure.signal;
  }

  /** Whether the lock is held now. Reads the clock, so it is right even when timers are late. No I/O. */
  isHeld(): boolean {
    return this.#tenure.isHeld();
  }

  /** Throws LockLostError unless the lock is held now. */
  assertHeld(): void {
    this.#tenure.assertHeld();
  }

  /** Milliseconds until the lock is not held any more unless the session is renewed before; 0 when it is not held. */
  remainingMs(): number {
    return this.#tenure.remainingMs();
  }

  /**
   * The keys and create revisions by which a transaction of the caller's own in the same etcd can compare that this lock is held:
   * `.if(key, 'Create', '==', createRevision)` with the npm package etcd3. Throws LockLostError if it is not.
   */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    return this.#tenure.ifHeld();
  }

  /**
   * Releases. `isHeld()` is false from the call on. Resolves when etcd has answered, or when there is nothing to release any more.
   * Idempotent. Rejects with OutcomeUnknownError if etcd does not answer within the request's deadline; the release then goes on in
   * the background, and in the worst case the lease's end makes the lock free.
   */
  async release(): Promise<void> {
    await this.#release(this.#tenure);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  toJSON(): { name: string; token: string } {
    return { name: this.name, token: this.token.toString() };
  }
}
