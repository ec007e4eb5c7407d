import { expectOptions, expectSignal, expectValue } from '../arguments.ts';
import { LeadershipLostError } from '../errors.ts';
import type { Contest } from '../queue/contest.ts';
import type { Tenure } from '../queue/tenure.ts';
import type { Operations } from '../session/operations.ts';

/** A term of leading. It ends by {@link resign}, by loss, or with the coordinator. */
export class Leadership implements AsyncDisposable {
  /**
   * The fencing token: greater than that of every earlier term of this election, over all processes and restarts. Present it to a
   * guard at the resource, before the first read of a read-modify-write.
   */
  readonly token: bigint;
  readonly #tenure: Tenure;
  readonly #contest: Contest;
  readonly #operations: Operations;

  /** @internal */
  constructor(tenure: Tenure, contest: Contest, operations: Operations) {
    this.token = tenure.token;
    this.#tenure = tenure;
    this.#contest = contest;
    this.#operations = operations;
  }

  /**
   * Aborts, with LeadershipLostError as its reason, before another process can be elected, as far as the event loop lets it. Aborts
   * also, while still leading, when the coordinator closes (ClosedError) and when the signal given to `lead` aborts (its reason).
   */
  get signal(): AbortSignal {
    return this.#tenure.signal;
  }

  /** Whether this process leads now. Reads the clock, so it is right even when timers are late. No I/O. */
  isHeld(): boolean {
    return this.#tenure.isHeld();
  }

  /** Throws LeadershipLostError unless this process leads now. */
  assertHeld(): void {
    this.#tenure.assertHeld();
  }

  /** Milliseconds until it does not lead any more unless the session is renewed before; 0 when it does not. */
  remainingMs(): number {
    return this.#tenure.remainingMs();
  }

  /** The compare by which a transaction of the caller's own in the same etcd can require this leadership. Throws LeadershipLostError. */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    return this.#tenure.ifHeld();
  }

  /**
   * Changes the value that observers see, under the condition that this is still the leader's key. Rejects with LeadershipLostError,
   * CoordinationUnavailableError, AccessDeniedError, LimitExceededError, and OutcomeUnknownError where it was sent and not answered.
   */
  async proclaim(value: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    expectValue('the proclaimed value', value);
    expectOptions('proclaim', options, ['signal']);
    this.assertHeld();
    const { key, lease, standing } = this.#tenure;
    const put = { type: 'put', key, value, lease } as const;
    const { succeeded } = await this.#contest.ask(expectSignal(options.signal), (signal) =>
      this.#operations.commit({ compare: [standing], then: [put] }, signal),
    );
    if (!succeeded) {
      throw this.#tenure.loss() ?? this.#contest.identity.lossOf(new Error('its key is not in etcd any more'));
    }
  }

  /**
   * Resigns: the next candidate is elected at once. `isHeld()` is false from the call on. Idempotent. Rejects with OutcomeUnknownError
   * if etcd does not answer within the request's deadline; it then goes on in the background.
   */
  async resign(): Promise<void> {
    await this.#contest.release(this.#tenure);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resign();
  }

  toJSON(): { token: string } {
    return { token: this.token.toString() };
  }
}

/** The error of a lost leadership. */
export function leadershipLoss(shown: string, reason: Error): LeadershipLostError {
  return new LeadershipLostError(
    `The ${shown} is not held any more: ${reason.message}. Stop the work; another leader may already be elected.`,
    { cause: reason },
  );
}
