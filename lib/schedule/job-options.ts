import { expectDuration, expectOptions, expectWholeNumber, show } from '../arguments.ts';
import { Cadence } from './cadence.ts';
import type { MissedPolicy } from './policy.ts';

/** When a job's work is started, and what becomes of what was not. Every process that has the job should say the same. */
export interface ScheduleOptions {
  /**
   * The time zone of the pattern, by its IANA name. Every process has to use the same one, so there is no default of the machine's.
   * @default 'UTC'
   */
  readonly timezone?: string | undefined;
  /**
   * What becomes of ticks whose time came while nobody could start them. `skip`: they are recorded as missed, but for the newest if it
   * is late by at most 5 seconds; `last`: the newest is started, the others are recorded as missed; `all`: they are started
   * in order, the newest 100 of them.
   * @default 'last'
   */
  readonly missed?: MissedPolicy | undefined;
  /**
   * What becomes of a run whose leader was lost: it is recorded as abandoned, and with `retry` started once more, with `tick.attempt` + 1.
   * @default 'abandon'
   */
  readonly onLeaderLoss?: 'abandon' | 'retry' | undefined;
  /**
   * How often a tick is started at most, with `onLeaderLoss: 'retry'`.
   * @default 3
   */
  readonly maxAttempts?: number | undefined;
  /**
   * How long a run may take, in milliseconds. Then `tick.signal` aborts; the run is waited for and recorded as failed.
   * @default no limit
   */
  readonly maxRunMs?: number | undefined;
  /**
   * Whether ticks may start while an earlier run of the job goes on, up to 100 at once. Without it they wait for its end, and the
   * `missed` policy says what becomes of them.
   * @default false
   */
  readonly overlap?: boolean | undefined;
  /**
   * How many records history keeps, 10 to 1,000.
   * @default 100
   */
  readonly historyLimit?: number | undefined;
  /**
   * By how much this process's clock may be ahead of the others' for it to start ticks, in milliseconds.
   * @default 30_000
   */
  readonly maxClockSkewMs?: number | undefined;
}

/** The options after their check. */
export interface JobOptions {
  readonly cadence: Cadence;
  readonly missed: MissedPolicy;
  /** 1 without retries. */
  readonly maxAttempts: number;
  readonly maxRunMs: number | undefined;
  readonly maxRuns: number;
  readonly historyLimit: number;
  readonly maxClockSkewMs: number;
}

const MOST_AT_ONCE = 100;

/** Completes the options. Throws a TypeError or RangeError that names what is wrong. */
export function completeOptions(pattern: string, options: ScheduleOptions): JobOptions {
  expectOptions('schedule', options, [
    'timezone',
    'missed',
    'onLeaderLoss',
    'maxAttempts',
    'maxRunMs',
    'overlap',
    'historyLimit',
    'maxClockSkewMs',
  ]);
  const { timezone = 'UTC', missed = 'last', onLeaderLoss = 'abandon', maxAttempts, overlap = false } = options;
  const { maxRunMs, historyLimit = 100, maxClockSkewMs = 30_000 } = options;
  expectOneOf('missed', missed, ['skip', 'last', 'all']);
  expectOneOf('onLeaderLoss', onLeaderLoss, ['abandon', 'retry']);
  if (typeof overlap !== 'boolean') throw new TypeError(`Expected overlap to be a boolean, got ${show(overlap)}`);
  if (maxAttempts !== undefined && onLeaderLoss === 'abandon') {
    throw new TypeError(`Expected maxAttempts only with onLeaderLoss: 'retry', got ${show(maxAttempts)} without it`);
  }
  return {
    cadence: new Cadence(pattern, timezone),
    missed,
    maxAttempts: onLeaderLoss === 'abandon' ? 1 : expectWholeNumber('maxAttempts', maxAttempts ?? 3, 1, 100),
    maxRunMs: maxRunMs === undefined ? undefined : expectDuration('maxRunMs', maxRunMs, 1),
    maxRuns: overlap ? MOST_AT_ONCE : 1,
    historyLimit: expectWholeNumber('historyLimit', historyLimit, 10, 1_000),
    maxClockSkewMs: expectDuration('maxClockSkewMs', maxClockSkewMs, 1_000),
  };
}

function expectOneOf(option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new TypeError(
    `Expected ${option} to be ${allowed.map((each) => `'${each}'`).join(' or ')}, got ${show(value)}`,
  );
}
