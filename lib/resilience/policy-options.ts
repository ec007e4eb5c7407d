import {
  expectBoolean,
  expectDuration,
  expectFunction,
  expectGivenOptions,
  expectOptions,
  expectText,
  expectWholeNumber,
  show,
} from '../arguments.ts';
import type { Verdict } from './verdict.ts';

/** How often an attempt is made again, and after how long. */
export interface RetryOptions {
  /**
   * How often the work is tried in all, the first time included.
   * @default 3
   */
  readonly maxAttempts?: number | undefined;
  /**
   * The longest wait before the second attempt, in milliseconds. It doubles with every further one, and each wait is drawn evenly from
   * zero to the longest ("full jitter").
   * @default 100
   */
  readonly baseDelayMs?: number | undefined;
  /**
   * No wait is longer than this, in milliseconds. At least `baseDelayMs`.
   * @default 2_000, or `baseDelayMs` if that is more
   */
  readonly maxDelayMs?: number | undefined;
}

/** How much of the load may be retries, over all calls of a policy: a failing side is not to be asked the more for it. */
export interface BudgetOptions {
  /**
   * How many retries each call earns. With 0.1, retries add at most a tenth to the load over time.
   * @default 0.1
   */
  readonly ratio?: number | undefined;
  /**
   * How many retries a second are earned by time alone, so that a client with little traffic may still retry.
   * @default 2
   */
  readonly minPerSecond?: number | undefined;
  /**
   * The most that can be saved up. It is there from the start.
   * @default 10
   */
  readonly capacity?: number | undefined;
}

/** When the other side is left alone, and for how long. */
export interface BreakerOptions {
  /**
   * It opens when more than this share of the last attempts failed. Above 0 and below 1.
   * @default 0.5
   */
  readonly failureRatio?: number | undefined;
  /**
   * How many of the last attempts are looked at.
   * @default 20
   */
  readonly window?: number | undefined;
  /**
   * It does not open before there were so many attempts. At most `window`.
   * @default 10, or `window` if that is less
   */
  readonly minAttempts?: number | undefined;
  /**
   * How long it refuses everything, in milliseconds, before it lets one attempt through to see.
   * @default 5_000
   */
  readonly openMs?: number | undefined;
}

/** How much of the other side's slowness this process takes on. */
export interface BulkheadOptions {
  /** How much of the work may run at once. An attempt counts until its work has ended, also after it was given up. */
  readonly limit: number;
  /**
   * How many may wait for a place. The next one is refused.
   * @default 0
   */
  readonly queue?: number | undefined;
}

/** What stands around calls to one other side. */
export interface PolicyOptions<F = never> {
  /** What the calls are made to: for messages. */
  readonly name: string;
  /**
   * How long one attempt may take, in milliseconds.
   * @default 2_000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How long a call may take with all that belongs to it, in milliseconds. At least `timeoutMs`.
   * @default what all attempts and the longest waits between them may take
   */
  readonly deadlineMs?: number | undefined;
  /**
   * Whether the work may be repeated when nobody knows if it was done: a repeat has no further effect, and its answer stands for all
   * attempts. True for reads, for writes of a value as a whole, and for whatever knows its idempotency key. Not for a
   * compare-and-set, whose repeat is refused because it was done.
   * @default false
   */
  readonly idempotent?: boolean | undefined;
  /** Without it there is one attempt. */
  readonly retry?: RetryOptions | undefined;
  /** Shared by all calls through this policy, and always there. */
  readonly budget?: BudgetOptions | undefined;
  /** Without it there is none. */
  readonly breaker?: BreakerOptions | undefined;
  /** Without it there is none. */
  readonly bulkhead?: BulkheadOptions | undefined;
  /**
   * What an error of the work means; see {@link Verdict}. `undefined`: as without this function. An OutcomeUnknownError, and an attempt
   * that was given up, are unknown whatever it would say.
   * @default by what holdfast's own errors mean, and 'transient' for connections that were not made; everything else is 'unknown'
   */
  readonly classify?: ((error: unknown) => Verdict | undefined) | undefined;
  /**
   * What to give instead of an error. It is not asked for what was refused for good, for what the caller gave up, nor for what has an unknown outcome
   * and is not idempotent: a substitute must not hide that the thing may have been done.
   */
  readonly fallback?: ((error: unknown) => F | Promise<F>) | undefined;
}

export interface CompletePolicyOptions<F> {
  readonly name: string;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly idempotent: boolean;
  readonly maxAttempts: number;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  readonly budget: { readonly ratio: number; readonly minPerSecond: number; readonly capacity: number };
  readonly breaker: CompleteBreakerOptions | undefined;
  readonly bulkhead: { readonly limit: number; readonly queue: number } | undefined;
  readonly classify: ((error: unknown) => Verdict | undefined) | undefined;
  readonly fallback: ((error: unknown) => F | Promise<F>) | undefined;
}

export interface CompleteBreakerOptions {
  readonly failureRatio: number;
  readonly window: number;
  readonly minAttempts: number;
  readonly openMs: number;
}

const MOST = 1_000_000;

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completePolicyOptions<F>(options: PolicyOptions<F>): CompletePolicyOptions<F> {
  expectGivenOptions('createPolicy', options, [
    'name',
    'timeoutMs',
    'deadlineMs',
    'idempotent',
    'retry',
    'budget',
    'breaker',
    'bulkhead',
    'classify',
    'fallback',
  ]);
  const { name, timeoutMs = 2_000, idempotent = false, classify, fallback } = options;
  expectText('name', name);
  expectDuration('timeoutMs', timeoutMs, 1);
  expectBoolean('idempotent', idempotent);
  if (classify !== undefined) expectFunction('classify', classify);
  if (fallback !== undefined) expectFunction('fallback', fallback);
  const { maxAttempts, backoff } = completeRetry(options.retry);
  const { deadlineMs = longestCallMs(timeoutMs, maxAttempts, backoff) } = options;
  expectDuration('deadlineMs', deadlineMs, 1);
  expectOrder('timeoutMs', timeoutMs, 'deadlineMs', deadlineMs);
  return {
    name,
    timeoutMs,
    deadlineMs,
    idempotent,
    maxAttempts,
    backoff,
    budget: completeBudget(options.budget),
    breaker: completeBreaker(options.breaker),
    bulkhead: completeBulkhead(options.bulkhead),
    classify,
    fallback,
  };
}

function completeRetry(retry: RetryOptions | undefined): Pick<CompletePolicyOptions<never>, 'maxAttempts' | 'backoff'> {
  expectOptions('retry', retry, ['maxAttempts', 'baseDelayMs', 'maxDelayMs']);
  const { maxAttempts = retry === undefined ? 1 : 3, baseDelayMs = 100 } = retry ?? {};
  expectWholeNumber('retry.maxAttempts', maxAttempts, 1, 100);
  expectDuration('retry.baseDelayMs', baseDelayMs);
  const maxDelayMs = expectDuration('retry.maxDelayMs', retry?.maxDelayMs ?? Math.max(2_000, baseDelayMs));
  expectOrder('retry.baseDelayMs', baseDelayMs, 'retry.maxDelayMs', maxDelayMs);
  return { maxAttempts, backoff: { baseMs: baseDelayMs, capMs: maxDelayMs } };
}

function longestCallMs(
  timeoutMs: number,
  maxAttempts: number,
  { baseMs, capMs }: { readonly baseMs: number; readonly capMs: number },
): number {
  let longestMs = maxAttempts * timeoutMs;
  for (let wait = 0; wait < maxAttempts - 1; wait += 1) longestMs += Math.min(capMs, baseMs * 2 ** wait);
  return longestMs;
}

function completeBudget(budget: BudgetOptions | undefined): CompletePolicyOptions<never>['budget'] {
  expectOptions('budget', budget, ['ratio', 'minPerSecond', 'capacity']);
  const { ratio = 0.1, minPerSecond = 2, capacity = 10 } = budget ?? {};
  expectNumber('budget.ratio', ratio, 0);
  expectNumber('budget.minPerSecond', minPerSecond, 0);
  expectNumber('budget.capacity', capacity, 1);
  return { ratio, minPerSecond, capacity };
}

function completeBreaker(breaker: BreakerOptions | undefined): CompleteBreakerOptions | undefined {
  if (breaker === undefined) return undefined;
  expectOptions('breaker', breaker, ['failureRatio', 'window', 'minAttempts', 'openMs']);
  const { failureRatio = 0.5, window = 20, openMs = 5_000 } = breaker;
  if (typeof failureRatio !== 'number' || !(failureRatio > 0 && failureRatio < 1)) {
    throw new RangeError(`Expected breaker.failureRatio to be a number above 0 and below 1, got ${show(failureRatio)}`);
  }
  expectWholeNumber('breaker.window', window, 1, 10_000);
  const minAttempts = expectWholeNumber('breaker.minAttempts', breaker.minAttempts ?? Math.min(10, window), 1, 10_000);
  expectOrder('breaker.minAttempts', minAttempts, 'breaker.window', window);
  expectDuration('breaker.openMs', openMs, 1);
  return { failureRatio, window, minAttempts, openMs };
}

function completeBulkhead(bulkhead: BulkheadOptions | undefined): CompletePolicyOptions<never>['bulkhead'] {
  if (bulkhead === undefined) return undefined;
  expectOptions('bulkhead', bulkhead, ['limit', 'queue']);
  const { limit, queue = 0 } = bulkhead;
  expectWholeNumber('bulkhead.limit', limit, 1, MOST);
  expectWholeNumber('bulkhead.queue', queue, 0, MOST);
  return { limit, queue };
}

function expectNumber(option: string, value: number, least: number): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least) {
    throw new RangeError(`Expected ${option} to be a number of at least ${least}, got ${show(value)}`);
  }
}

function expectOrder(lesser: string, lesserValue: number, greater: string, greaterValue: number): void {
  if (lesserValue > greaterValue) {
    throw new RangeError(`Expected ${lesser} <= ${greater}, got ${lesserValue} and ${greaterValue}`);
  }
}
