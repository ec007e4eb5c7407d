import type { Contest } from '../queue/contest.ts';
import { Holding } from '../queue/holding.ts';
import type { Tenure } from '../queue/tenure.ts';

/** A lock that was acquired. It ends by {@link release}, by loss (LockLostError), or with the coordinator. */
export class HeldLock extends Holding implements AsyncDisposable {
  /** The name it was asked for by. */
  readonly name: string;
  readonly #contest: Contest;

  /** @internal */
  constructor(name: string, tenure: Tenure, contest: Contest) {
    super(tenure);
    this.name = name;
    this.#contest = contest;
  }

  /**
   * Releases. `isHeld()` is false from the call on. Resolves when etcd has answered, or when there is nothing to release any more.
   * Idempotent. Rejects with OutcomeUnknownError if etcd does not answer within the request's deadline; the release then goes on in
   * the background, and in the worst case the lease's end makes the lock free.
   */
  async release(): Promise<void> {
    await this.#contest.release(this.tenure);
  }

  /** Releases, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  override toJSON(): { name: string; token: string } {
    return { name: this.name, ...super.toJSON() };
  }
}
