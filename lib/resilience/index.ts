/**
 * For a caller's own downstream calls: timeouts, retries within a budget, a breaker, a bulkhead. The errors are those of `holdfast`, to be had without
 * loading the client of etcd.
 *
 * @packageDocumentation
 */

export { CallRefusedError, HoldfastError, OutcomeUnknownError, type ErrorCode } from '../errors.ts';
export type { CallContext } from './attempt.ts';
export type { BreakerState } from './breaker.ts';
export type { ExecuteOptions } from './execute-options.ts';
export { createPolicy, type Policy, type PolicyStats } from './policy.ts';
export type { BreakerOptions, BudgetOptions, BulkheadOptions, PolicyOptions, RetryOptions } from './policy-options.ts';
export type { Verdict } from './verdict.ts';
