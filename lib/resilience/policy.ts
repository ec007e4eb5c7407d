/**
 * A policy for calls to one other side.
 *
 * Guarantees. A call settles by its deadline, whatever the work does. What may have been done is never repeated unless it was said to be
 * idempotent, and never reported as not done. All calls together are repeated within the budget. No more of the work runs at once
 * than the bulkhead allows, work that was given up and goes on included.
 * Not guaranteed: that work ends which ignores its signal, or that the other side does nothing after an attempt was given up.
 *
 * From the outside inwards, and why in this order:
 *
 * 1. fallback: the last word, on the outcome of everything below.
 * 2. deadline: covers all waiting, also for a place and between attempts, and is never later than that of an enclosing call.
 * 3. retry, within the budget: each attempt below passes the breaker and takes a place anew; a wait between attempts takes none.
 * 4. breaker: asked before the queue, so that nobody waits to be told no, and once more after it, since it may have opened meanwhile.
 * 5. bulkhead: its refusals are no evidence against the other side, so it is not inside the breaker.
 * 6. timeout of the attempt: counts from the sending. The time in the queue is not the other side's.
 *
 * Of these, the breaker is cockatiel's. Its other policies wait on timers of their own that nothing can inject, and that ignore signals.
 */
import { expectFunction, show } from '../arguments.ts';
import { CallRefusedError, OutcomeUnknownError } from '../errors.ts';
import { onAbort } from '../runtime/abort.ts';
import { elapsedMs, sleep, systemClock, type Clock } from '../runtime/clock.ts';
import { DeadlineReached } from '../runtime/deadline.ts';
import { systemRandom, type Random } from '../runtime/random.ts';
import { textOf } from '../runtime/thrown.ts';
import { attemptOnce, enclosingAttempt, type CallContext, type Outcome } from './attempt.ts';
import { fullJitterMs } from './backoff.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import { Bulkhead } from './bulkhead.ts';
import { completeExecuteOptions, type ExecuteOptions } from './execute-options.ts';
import { completePolicyOptions, type CompletePolicyOptions, type PolicyOptions } from './policy-options.ts';
import { RetryBudget } from './retry-budget.ts';
import { mayRepeat, verdictOf, type Verdict } from './verdict.ts';

/** What a policy has done since it was made, and how it stands. */
export interface PolicyStats {
  /** How often `execute` was called. */
  readonly calls: number;
  /** Calls that ended with the work's own result. */
  readonly succeeded: number;
  /** Calls that ended with an error, those that the fallback then answered included. */
  readonly failed: number;
  /** Calls that the fallback answered. */
  readonly fallbacks: number;
  /** How often the work was begun. `attempts / calls` is how much the policy amplifies the load. */
  readonly attempts: number;
  /** Repeats that the budget did not cover. */
  readonly retriesRefused: number;
  /** Calls of which nothing was sent. */
  readonly refused: { readonly breaker: number; readonly bulkhead: number; readonly deadline: number };
  /** Work that has not ended, that of attempts that were given up included. */
  readonly running: number;
  /** How many wait for a place of the bulkhead. */
  readonly waiting: number;
  /** Repeats that the budget covers now. */
  readonly budget: number;
  /** How the breaker stands; `none` without one. */
  readonly breaker: BreakerState | 'none';
}

/** One call of `execute`. */
interface Call<T> {
  readonly work: (context: CallContext) => Promise<T> | T;
  readonly idempotent: boolean;
  readonly idempotencyKey: () => string;
  /** Of everything: the caller, and the deadline. */
  readonly signal: AbortSignal;
  readonly remainingMs: () => number;
  /** Whether an attempt may have been done that nobody knows of. */
  mayBeDone: boolean;
}

/** How an attempt ended that did not succeed. `refused`: it was not made. `cancelled`: the caller gave it up. */
type Failure =
  | { readonly kind: Verdict | 'cancelled'; readonly error: unknown }
  | { readonly kind: 'refused'; readonly error: CallRefusedError };

/** A policy for calls to one other side. Made by `createPolicy`. `F` is what its fallback gives. */
export class Policy<F = never> {
  /** What the calls are made to. */
  readonly name: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: CompletePolicyOptions<F>;
  readonly #budget: RetryBudget;
  readonly #breaker: Breaker | undefined;
  readonly #bulkhead: Bulkhead | undefined;
  readonly #counts = {
    calls: 0,
    succeeded: 0,
    failed: 0,
    fallbacks: 0,
    attempts: 0,
    retriesRefused: 0,
    running: 0,
  };
  readonly #refusals = { breaker: 0, bulkhead: 0, deadline: 0 };

  /** @internal */
  constructor(clock: Clock, random: Random, options: PolicyOptions<F>) {
    this.#clock = clock;
    this.#random = random;
    this.#options = completePolicyOptions(options);
    this.name = this.#options.name;
    const { budget, breaker, bulkhead } = this.#options;
    this.#budget = new RetryBudget(clock, budget);
    this.#breaker = breaker === undefined ? undefined : new Breaker(clock, breaker);
    this.#bulkhead = bulkhead === undefined ? undefined : new Bulkhead(bulkhead.limit);
  }

  /**
   * Does `work`, and gives its result.
   *
   * Rejects with the work's own error if it was not done, for certain; OutcomeUnknownError (cause: why) if it may have been done, which
   * includes every attempt that was given up; CallRefusedError if nothing was sent; `signal.reason` if the caller gave it up before
   * anything could have been done. With a fallback, see there.
   */
  async execute<T>(work: (context: CallContext) => Promise<T> | T, options: ExecuteOptions = {}): Promise<T | F> {
    expectFunction('the work of execute', work);
    const { signal: caller, deadlineMs: wholeMs, detached, ...order } = completeExecuteOptions(options, this.#options);
    const { idempotent } = order;
    /* Made when it is asked for: most work does not, and 128 random bits take longer than all else here. */
    let key = order.idempotencyKey;
    const idempotencyKey = (): string => (key ??= this.#newKey());

    this.#counts.calls += 1;
    const enclosing = detached ? undefined : enclosingAttempt();
    const startedAt = this.#clock.now();
    const remainingMs = (): number =>
      Math.max(0, Math.min(wholeMs - elapsedMs(startedAt, this.#clock.now()), enclosing?.remainingMs() ?? wholeMs));

    /* 2. */
    const leftMs = remainingMs();
    const stop = new AbortController();
    const abort = (reason: unknown): void => stop.abort(reason);
    const cancel = this.#clock.schedule(leftMs, () => abort(new DeadlineReached(Math.round(leftMs))));
    const listening = [onAbort(caller, abort), onAbort(enclosing?.signal, abort)];
    try {
      const { signal } = stop;
      const call: Call<T> = { work, idempotent, idempotencyKey, signal, remainingMs, mayBeDone: false };
      const outcome = await this.#attempts(call);
      if ('value' in outcome) {
        this.#counts.succeeded += 1;
        return outcome.value;
      }
      this.#counts.failed += 1;
      /* 1. */
      return await this.#fallBack(outcome, idempotent);
    } finally {
      cancel();
      for (const end of listening) end();
    }
  }

  /** What has happened so far. Costs nothing; for metrics. */
  stats(): PolicyStats {
    return {
      ...this.#counts,
      refused: { ...this.#refusals },
      waiting: this.#bulkhead?.waiting ?? 0,
      budget: this.#budget.balance,
      breaker: this.#breaker?.state ?? 'none',
    };
  }

  /** Step 3. */
  async #attempts<T>(call: Call<T>): Promise<{ readonly value: T } | Failure> {
    let last: Failure | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#once(call, attempt);
      if ('value' in outcome) return outcome;
      /* What became of the attempts before says more than why there is no further one. */
      if (outcome.kind === 'refused' && last !== undefined) return this.#final(call, last);
      last = outcome;
      const delayMs = this.#delayBeforeRepeat(call, last, attempt);
      if (delayMs === undefined) return this.#final(call, last);
      try {
        await sleep(this.#clock, delayMs, call.signal);
      } catch (reason) {
        const stop = this.#stopped(reason);
        return this.#final(call, stop.kind === 'cancelled' ? stop : last);
      }
    }
  }

  /** Steps 4 to 6. Nothing is awaited between the last look at what would refuse the attempt and its beginning. */
  async #once<T>(call: Call<T>, attempt: number): Promise<{ readonly value: T } | Failure> {
    /* 4. */
    const refusal = this.#refusal(call);
    if (refusal !== undefined) return refusal;
    /* 5. */
    if (this.#bulkhead?.tryEnter() === false) {
      const stop = await this.#queue(this.#bulkhead, call);
      if (stop !== undefined) return stop;
      const late = this.#refusal(call);
      if (late !== undefined) {
        this.#bulkhead.leave();
        return late;
      }
    }
    if (attempt === 1) this.#budget.deposit();
    /* The place comes free once the work has ended and the breaker has learned from it: the next one in the queue asks the breaker. */
    let left = 2;
    const leave = (): void => {
      left -= 1;
      if (left === 0) this.#bulkhead?.leave();
    };
    const send = (): Promise<Outcome<T>> => this.#send(call, attempt, leave);
    const outcome = await (this.#breaker === undefined ? send() : this.#breaker.run(send));
    leave();
    if (outcome.verdict === 'done') return outcome;
    if (outcome.verdict === 'transient' || outcome.verdict === 'permanent') {
      return { kind: outcome.verdict, error: outcome.error };
    }
    call.mayBeDone = true;
    const isCancelled = outcome.verdict === 'given-up' && !(outcome.error instanceof DeadlineReached);
    return { kind: isCancelled ? 'cancelled' : 'unknown', error: outcome.error };
  }

  /** Step 6. */
  #send<T>(call: Call<T>, attempt: number, leave: () => void): Promise<Outcome<T>> {
    this.#counts.attempts += 1;
    this.#counts.running += 1;
    return attemptOnce(this.#clock, call.work, {
      attempt,
      idempotencyKey: call.idempotencyKey,
      signal: call.signal,
      timeoutMs: this.#options.timeoutMs,
      remainingMs: call.remainingMs,
      classify: (error) => judge(error, this.#options.classify),
      ended: () => {
        this.#counts.running -= 1;
        leave();
      },
    });
  }

  #refusal({ signal, remainingMs }: Call<unknown>): Failure | undefined {
    if (signal.aborted) return this.#stopped(signal.reason);
    if (remainingMs() === 0) return this.#refused('deadline', 'no time was left');
    const retryAfterMs = this.#breaker?.refusesForMs ?? 0;
    if (retryAfterMs === 0) return undefined;
    const why = `too many of the last attempts failed; asked again in ${Math.ceil(retryAfterMs)} ms`;
    return this.#refused('breaker', why, { retryAfterMs });
  }

  /** Waits for a place. `undefined`: it is taken. */
  #queue(bulkhead: Bulkhead, { signal }: Call<unknown>): Promise<Failure | undefined> {
    const { limit = 0, queue = 0 } = this.#options.bulkhead ?? {};
    if (bulkhead.waiting >= queue) {
      return Promise.resolve(this.#refused('bulkhead', `${limit} are under way and ${queue} wait, which is the most`));
    }
    return new Promise((resolve) => {
      const giveUp = bulkhead.queue(() => {
        stop();
        resolve(undefined);
      });
      const stop = onAbort(signal, (reason) => {
        giveUp();
        resolve(this.#stopped(reason));
      });
    });
  }

  /** How long to wait before the next attempt. `undefined`: there is none. */
  #delayBeforeRepeat(call: Call<unknown>, failure: Failure, attempt: number): number | undefined {
    if (attempt >= this.#options.maxAttempts || !mayRepeat(failure.kind, call.idempotent)) return undefined;
    const delayMs = fullJitterMs(attempt - 1, this.#options.backoff, () => this.#random.uniform());
    if (delayMs >= call.remainingMs() || delayMs < (this.#breaker?.refusesForMs ?? 0)) return undefined;
    /* Last, so that nothing is withdrawn for an attempt that is not made. */
    if (this.#budget.withdraw()) return delayMs;
    this.#counts.retriesRefused += 1;
    return undefined;
  }

  /** What a call ends with that does not succeed. */
  #final(call: Call<unknown>, failure: Failure): Failure {
    if (failure.kind === 'refused') this.#refusals[failure.error.reason] += 1;
    /* The answer to a repeat stands for all attempts: only what is idempotent was repeated after an unknown outcome. */
    if (!call.mayBeDone || failure.kind === 'permanent' || failure.error instanceof OutcomeUnknownError) return failure;
    const error = new OutcomeUnknownError(
      `The call to ${this.name} has no known outcome (${textOf(failure.error)}). It may have been done, and may still be done later. ` +
        `Repeat it only under its idempotency key, ${show(call.idempotencyKey())}, or once you have looked.`,
      { cause: failure.error },
    );
    return { kind: failure.kind === 'cancelled' ? 'cancelled' : 'unknown', error };
  }

  async #fallBack({ kind, error }: Failure, idempotent: boolean): Promise<F> {
    const { fallback } = this.#options;
    const isAsked = kind === 'transient' || kind === 'refused' || (kind === 'unknown' && idempotent);
    if (fallback === undefined || !isAsked) throw error;
    this.#counts.fallbacks += 1;
    return await fallback(error);
  }

  #stopped(reason: unknown): Failure {
    if (!(reason instanceof DeadlineReached)) return { kind: 'cancelled', error: reason };
    return this.#refused('deadline', reason.message, { cause: reason });
  }

  #refused(
    reason: CallRefusedError['reason'],
    why: string,
    details: { readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ): Failure {
    const message = `The call to ${this.name} was not made: ${why}. Nothing was sent.`;
    return { kind: 'refused', error: new CallRefusedError(message, { reason, ...details }) };
  }

  #newKey(): string {
    const half = (): string => this.#random.bits64().toString(16).padStart(16, '0');
    return half() + half();
  }
}

function judge(error: unknown, classify: PolicyOptions['classify']): Verdict {
  const verdict: unknown = classify?.(error);
  if (verdict === undefined) return verdictOf(error);
  if (verdict === 'transient' || verdict === 'permanent' || verdict === 'unknown') return verdict;
  throw new TypeError(
    `Expected classify to give 'transient', 'permanent', 'unknown' or undefined, got ${show(verdict)}`,
  );
}

/** A policy for calls to one other side, to be shared by all of them: budget, breaker and bulkhead are its own. */
export function createPolicy<F = never>(options: PolicyOptions<F>): Policy<F> {
  return new Policy(systemClock, systemRandom, options);
}
