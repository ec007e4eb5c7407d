/**
 * A scheduled job: one of the processes that have it leads it and starts its work, tick by tick.
 *
 * Guarantees. Of each attempt at a tick at most one start is accepted, over all processes, failovers, lost answers, clocks that jump and
 * changes of daylight saving: it is one transaction in etcd; see ledger.ts. Every tick that comes due was started or is recorded as missed. The
 * tokens of starts rise. What a start is told (`tick.signal`) aborts before another process can lead, as far as the event loop lets it.
 *
 * Not guaranteed. That a tick's *effects* happen exactly once: work can fail half-way, and a process that was paused can go on for a
 * moment after its leadership was lost. Give `tick.token` and (job, scheduledFor) to a guard at the resource; see docs/schedules.md. That a
 * tick starts on time: it starts when a leader with a clock that can be believed sees it. That a clock is right where nobody can tell.
 *
 * Protocol.
 * 1. lead: campaign in the job's election; see election.ts. Those who do not lead do nothing.
 * 2. serve: a term at a time; see term.ts.
 * 3. stand back: if our clock is ahead of the others', resign, and let somebody else lead for a while.
 */
import { expectDuration, expectFunction, expectOptions } from '../arguments.ts';
import { Election, type ElectionContext } from '../election/election.ts';
import type { Leadership } from '../election/leadership.ts';
import { AccessDeniedError, ClosedError } from '../errors.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import { JobControls, type JobStatus } from './controls.ts';
import type { JobOptions } from './job-options.ts';
import type { JobKeys } from './job-view.ts';
import { Ledger } from './ledger.ts';
import type { PeerClocks } from './peer-clocks.ts';
import type { JobRecord } from './record.ts';
import { Runs } from './runs.ts';
import type { Steadiness } from './steadiness.ts';
import { Term } from './term.ts';
import type { Work } from './tick.ts';

/** What the jobs of one coordinator share. */
export interface ScheduleContext extends ElectionContext {
  readonly instanceId: string;
  readonly peers: PeerClocks;
  readonly steadiness: Steadiness;
}

/** How long those whose clock is ahead leave the leading to others; doubled by jitter. */
const STAND_BACK_MS = 30_000;

/** Until we campaign again after a failure. */
const CAMPAIGN = { baseMs: 500, capMs: 10_000 };

/** After a refusal that somebody has to mend. */
const REFUSED_WAIT_MS = 30_000;

const DEFAULT_DRAIN_MS = 10_000;

/**
 * A job that this process takes part in. Made by `coordinator.schedule`. One of the processes that have it leads it and starts its work, tick by
 * tick; of each attempt at a tick at most one start is accepted. That the effects of a tick happen exactly once is for a guard: docs/schedules.md.
 */
export class Job implements AsyncDisposable {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #context: ScheduleContext;
  readonly #keys: JobKeys;
  readonly #options: JobOptions;
  readonly #controls: JobControls;
  readonly #ledger: Ledger;
  readonly #runs: Runs;
  readonly #onStop: () => void;
  readonly #stopping = new AbortController();
  /** Nobody waits any longer for what runs. */
  readonly #undrained = new AbortController();
  readonly #kept: Promise<void>;
  /** The term under way; it ends when nothing of it runs any more. */
  #term: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(context: ScheduleContext, name: string, work: Work, options: JobOptions, onStop: () => void) {
    const { runtime, store, repetition, operations, keyspace, instanceId } = context;
    const { historyLimit } = options;
    expectFunction('the work of a schedule', work);
    this.name = name;
    this.#context = context;
    this.#keys = keyspace.job(name);
    this.#options = options;
    this.#onStop = onStop;
    this.#controls = new JobControls(context, name);
    this.#ledger = new Ledger(runtime, store, repetition, operations, this.#keys, {
      instanceId,
      epochKey: keyspace.epoch,
      historyLimit,
    });
    this.#runs = new Runs(runtime, this.#ledger, name, work, options);
    this.#kept = this.#keep();
  }

  /** When the next tick is due by this process's clock; `undefined` if none ever is. No I/O; knows nothing of a pause. */
  next(): Date | undefined {
    const next = this.#options.cadence.next(this.#context.runtime.clock.now().wallMs);
    return next === undefined ? undefined : new Date(next);
  }

  /**
   * What became of the newest `limit` ticks (default 20, at most 1,000), the newest first, whoever ran them; read through raft. Rejects with
   * CoordinationUnavailableError, AccessDeniedError, `signal.reason`.
   */
  async history(
    options: { readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly JobRecord[]> {
    return this.#controls.history(options);
  }

  /** How the job stands for the whole cluster; read through raft. Rejects as {@link history} does. */
  async status(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<JobStatus> {
    return this.#controls.status(options);
  }

  /**
   * Asks whoever leads to run the job now, beside its schedule: after the run that goes on, if one does. Resolves once the request is
   * written down, to its instant, which is the `scheduledFor` of the tick; a request that waits already serves for both. Rejects with
   * JobPausedError, CoordinationUnavailableError, OutcomeUnknownError, AccessDeniedError, `signal.reason`.
   */
  async trigger(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Date> {
    this.#expectGoing();
    return this.#controls.trigger(options);
  }

  /**
   * From when it resolves on, no process starts the job, until it is resumed; a run that goes on is let be. Idempotent. Rejects as
   * {@link trigger} does.
   */
  async pause(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#controls.pause(options);
  }

  /** Ends a pause. What came due meanwhile is dealt with as the `missed` policy says. Idempotent. Rejects as {@link trigger} does. */
  async resume(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#controls.resume(options);
  }

  /**
   * Takes no further part in this process: others go on. Tells a run that goes on to end (ClosedError on `tick.signal`) and waits for it
   * for at most `drainMs` (default 10,000), records how it ended, resigns. Never resigns under a run that goes on for longer. Idempotent; never
   * rejects.
   */
  stop(options: { readonly drainMs?: number | undefined } = {}): Promise<void> {
    expectOptions('stop', options, ['drainMs']);
    const { drainMs = DEFAULT_DRAIN_MS } = options;
    expectDuration('drainMs', drainMs);
    return this.close(drainMs, new ClosedError(`The schedule ${JSON.stringify(this.name)} is stopped.`));
  }

  /** Stops, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * Whoever has the least patience ends the waiting for all: a coordinator that closes within a second does not wait ten for a job that
   * was stopped just before.
   *
   * @internal
   */
  async close(drainMs: number, reason: ClosedError): Promise<void> {
    this.#stopped ??= this.#stop(reason);
    const { clock } = this.#context.runtime;
    const stopped = new AbortController();
    const patience = sleep(clock, drainMs, stopped.signal).then(
      () => this.#undrained.abort(drainMs),
      () => {},
    );
    await this.#stopped;
    stopped.abort();
    await patience;
  }

  async #stop(reason: ClosedError): Promise<void> {
    this.#stopping.abort(reason);
    const { signal } = this.#undrained;
    const ended = this.#kept.then(() => this.#runs.recorded());
    await abortable(ended, signal).catch((drainMs: unknown) => {
      this.#context.runtime.logger.warn(
        'A run did not end in time; its leadership is kept until it does, or until the lease ends',
        { event: 'schedule.undrained', job: this.name, drainMs },
      );
    });
    this.#runs.giveUp();
    this.#onStop();
  }

  /** 1. Until the job is stopped. */
  async #keep(): Promise<void> {
    const { clock, random } = this.#context.runtime;
    const { signal } = this.#stopping;
    const election = new Election(this.#context, this.name, 'schedule');
    for (let failures = 0; !signal.aborted;) {
      let pauseMs: number;
      try {
        await election.lead((leadership) => this.#serve(leadership), { signal });
        /* 3 */
        failures = 0;
        pauseMs = STAND_BACK_MS * (1 + random.uniform());
      } catch (error) {
        if (signal.aborted || error instanceof ClosedError) break;
        failures += 1;
        this.#logFailure(error);
        pauseMs =
          error instanceof AccessDeniedError
            ? REFUSED_WAIT_MS * (0.5 + random.uniform())
            : fullJitterMs(failures, CAMPAIGN, () => random.uniform());
      }
      /* Work that will not end is waited for: the job must not overlap with itself in one process. */
      await abortable(this.#term ?? Promise.resolve(), signal).catch(() => {});
      await sleep(clock, pauseMs, signal).catch(() => {});
    }
    await this.#term;
  }

  /** 2 */
  #serve(leadership: Leadership): Promise<void> {
    const { runtime, health, replicas, peers, steadiness, deadlineMs } = this.#context;
    const term = new Term(
      {
        runtime,
        health,
        replicas,
        peers,
        steadiness,
        deadlineMs,
        name: this.name,
        keys: this.#keys,
        options: this.#options,
        ledger: this.#ledger,
        runs: this.#runs,
      },
      leadership,
    ).serve();
    this.#term = term.catch(() => {});
    return term;
  }

  #logFailure(error: unknown): void {
    this.#context.runtime.logger.warn('A schedule cannot be led at the moment', {
      event: 'schedule.unled',
      job: this.name,
      error,
    });
  }

  #expectGoing(): void {
    if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason;
  }
}
