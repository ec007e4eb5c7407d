import type { Tenure } from './tenure.ts';

/** What whoever has a queue can ask of it: a held lock, a leadership, an owned partition. */
export abstract class Holding {
  /**
   * The fencing token: greater than that of every earlier holder, over all processes and restarts. Present it to a guard at the
   * resource, before the first read of a read-modify-write.
   */
  readonly token: bigint;
  /** @internal */
  protected readonly tenure: Tenure;

  /** @internal */
  protected constructor(tenure: Tenure) {
    this.token = tenure.token;
    this.tenure = tenure;
  }

  /**
   * Aborts, with the error of the loss as its reason, before another process can hold it, as far as the event loop lets it. Aborts also,
   * while it is still held, when the work is to come to an end: the coordinator closes (ClosedError), or whoever asked for the work takes
   * it back (the reason of its signal).
   */
  get signal(): AbortSignal {
    return this.tenure.signal;
  }

  /** Whether it is held now. Reads the clock, so it is right even when timers are late. No I/O. */
  isHeld(): boolean {
    return this.tenure.isHeld();
  }

  /** Throws the error of the loss unless it is held now. */
  assertHeld(): void {
    this.tenure.assertHeld();
  }

  /** Milliseconds until it is not held any more unless the session is renewed before; 0 when it is not held. */
  remainingMs(): number {
    return this.tenure.remainingMs();
  }

  /**
   * The keys and create revisions by which a transaction of the caller's own in the same etcd can compare that it is held:
   * `.if(key, 'Create', '==', createRevision)` with the npm package etcd3. Throws the error of the loss if it is not.
   */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    return this.tenure.ifHeld();
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  toJSON(): { token: string } {
    return { token: this.token.toString() };
  }
}
