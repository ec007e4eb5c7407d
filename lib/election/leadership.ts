import { expectOptions, expectSignal, expectValue } from '../arguments.ts';
import { LeadershipLostError } from '../errors.ts';
import type { Contest } from '../queue/contest.ts';
import { Holding } from '../queue/holding.ts';
import type { Tenure } from '../queue/tenure.ts';
import type { Operations } from '../session/operations.ts';

/** A term of leading. It ends by {@link resign}, by loss (LeadershipLostError), or with the coordinator. */
export class Leadership extends Holding implements AsyncDisposable {
  readonly #contest: Contest;
  readonly #operations: Operations;

  /** @internal */
  constructor(tenure: Tenure, contest: Contest, operations: Operations) {
    super(tenure);
    this.#contest = contest;
    this.#operations = operations;
  }

  /**
   * Changes the value that observers see, under the condition that this is still the leader's key. Rejects with LeadershipLostError,
   * CoordinationUnavailableError, AccessDeniedError, LimitExceededError, and OutcomeUnknownError where it was sent and not answered.
   */
  async proclaim(value: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    expectValue('the proclaimed value', value);
    expectOptions('proclaim', options, ['signal']);
    this.assertHeld();
    const { key, lease, standing } = this.tenure;
    const put = { type: 'put', key, value, lease } as const;
    const { succeeded } = await this.#contest.ask(expectSignal(options.signal), (signal) =>
      this.#operations.commit({ compare: [standing], then: [put] }, signal),
    );
    if (!succeeded) {
      throw this.tenure.loss() ?? this.#contest.identity.lossOf(new Error('its key is not in etcd any more'));
    }
  }

  /**
   * Resigns: the next candidate is elected at once. `isHeld()` is false from the call on. Idempotent. Rejects with OutcomeUnknownError
   * if etcd does not answer within the request's deadline; it then goes on in the background.
   */
  async resign(): Promise<void> {
    await this.#contest.release(this.tenure);
  }

  /** Resigns, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.resign();
  }
}

/** The error of a lost leadership. */
export function leadershipLoss(shown: string, reason: Error): LeadershipLostError {
  return new LeadershipLostError(
    `The ${shown} is not held any more: ${reason.message}. Stop the work; another leader may already be elected.`,
    { cause: reason },
  );
}
