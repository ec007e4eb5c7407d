import type { Trigger } from './record.ts';

/** One start of a job's work. */
export class Tick {
  /** The job's name. */
  readonly job: string;
  /** The instant for which it was due, or at which it was asked for. With the job's name it identifies the tick, over all attempts. */
  readonly scheduledFor: Date;
  /**
   * The fencing token of this start: greater than that of every earlier start of this job, over all processes and restarts. Present it to
   * a guard at the resource, under the name of the job and the tick, before the first read of a read-modify-write.
   */
  readonly token: bigint;
  /**
   * Aborts when the work is to end: LeadershipLostError, before another process can lead, as far as the event loop lets it;
   * LimitExceededError after `maxRunMs`; ClosedError when the job is stopped or the coordinator closes.
   */
  readonly signal: AbortSignal;
  /** 1, and one more each time it is started again after its leader was lost. */
  readonly attempt: number;
  /** Whether its time had come, or somebody asked for it. */
  readonly trigger: Trigger;

  /** @internal */
  constructor(
    job: string,
    token: bigint,
    signal: AbortSignal,
    run: { readonly scheduledForMs: number; readonly attempt: number; readonly trigger: Trigger },
  ) {
    this.job = job;
    this.scheduledFor = new Date(run.scheduledForMs);
    this.token = token;
    this.signal = signal;
    this.attempt = run.attempt;
    this.trigger = run.trigger;
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  toJSON(): { job: string; scheduledFor: string; token: string; attempt: number; trigger: Trigger } {
    const { job, scheduledFor, token, attempt, trigger } = this;
    return { job, scheduledFor: scheduledFor.toISOString(), token: token.toString(), attempt, trigger };
  }
}

/** What a job does at each tick. What it returns is not looked at. */
export type Work = (tick: Tick) => unknown;
