import { expectBoolean, expectDuration, expectOptions, expectSignal, expectText } from '../arguments.ts';

/** What is special about one call. */
export interface ExecuteOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long this call may take, in milliseconds, if that is less than the policy allows.
   * @default the policy's
   */
  readonly deadlineMs?: number | undefined;
  /**
   * As the policy's, for this call.
   * @default the policy's
   */
  readonly idempotent?: boolean | undefined;
  /**
   * The key of an order that was made before, by another process or before a restart.
   * @default a new one of 128 random bits
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * Do not end with the call in whose work this one is made.
   * @default false
   */
  readonly detached?: boolean | undefined;
}

export interface CompleteExecuteOptions {
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number;
  readonly idempotent: boolean;
  /** `undefined`: one is to be made. */
  readonly idempotencyKey: string | undefined;
  readonly detached: boolean;
}

/** Completes the options with those of the policy. Throws a TypeError or RangeError that names what is wrong. */
export function completeExecuteOptions(
  options: ExecuteOptions,
  policy: { readonly deadlineMs: number; readonly idempotent: boolean },
): CompleteExecuteOptions {
  expectOptions('execute', options, ['signal', 'deadlineMs', 'idempotent', 'idempotencyKey', 'detached']);
  const { signal, deadlineMs = policy.deadlineMs, idempotent = policy.idempotent, detached = false } = options;
  expectSignal(signal);
  expectDuration('deadlineMs', deadlineMs);
  expectBoolean('idempotent', idempotent);
  expectBoolean('detached', detached);
  const { idempotencyKey } = options;
  if (idempotencyKey !== undefined) expectText('idempotencyKey', idempotencyKey);
  return { signal, deadlineMs: Math.min(deadlineMs, policy.deadlineMs), idempotent, idempotencyKey, detached };
}
