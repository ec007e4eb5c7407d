import type { Leadership } from '../election/leadership.ts';
import { LimitExceededError } from '../errors.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { linkSignals } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import { tell } from '../runtime/diagnostics.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Claimed, Ending, Ledger } from './ledger.ts';
import { errorText } from './record.ts';
import { Tick, type Work } from './tick.ts';

interface Run {
  /** Settles when the work has ended, and never rejects. */
  readonly worked: Promise<void>;
  /** Settles when it is recorded how. */
  readonly recorded: Promise<void>;
}

export interface RunOptions {
  readonly maxRunMs: number | undefined;
  readonly maxAttempts: number;
}

/** Until it is recorded how a run ended. It is of no hurry, and the next leader calls it abandoned otherwise. */
const RECORDING = { baseMs: 200, capMs: 10_000 };

const nothing = (): void => {};

/** The runs of one job in this process, over all of its terms: each from its claim until it is recorded how it ended. */
export class Runs {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #name: string;
  readonly #work: Work;
  readonly #options: RunOptions;
  readonly #runs = new Map<string, Run>();
  readonly #givenUp = new AbortController();
  #onRecorded: (revision: bigint) => void = nothing;

  constructor(runtime: Runtime, ledger: Ledger, name: string, work: Work, options: RunOptions) {
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#name = name;
    this.#work = work;
    this.#options = options;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Whether the run of a record is one of these. */
  has(key: string): boolean {
    return this.#runs.has(key);
  }

  /** Whoever leads is told of each run that is recorded, at its revision. Returns what ends it. */
  attend(onRecorded: (revision: bigint) => void): () => void {
    this.#onRecorded = onRecorded;
    return () => {
      this.#onRecorded = nothing;
    };
  }

  /** Starts the work. Not where the leadership is over by now: the next leader, who may have come already, finds the record as it is. */
  begin(claimed: Claimed, leadership: Leadership): void {
    if (!leadership.isHeld()) return;
    const ended = this.#do(claimed, leadership.signal);
    const worked = ended.then(nothing);
    const recorded = ended
      .then((ending) => this.#record(claimed, ending))
      .finally(() => {
        this.#runs.delete(claimed.key);
      })
      .then((revision) => this.#onRecorded(revision), nothing);
    this.#runs.set(claimed.key, { worked, recorded });
  }

  /** Resolves when no work runs any more. */
  async worked(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(({ worked }) => worked));
  }

  /** Resolves when it is recorded how all of them ended, or given up. */
  async recorded(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(({ recorded }) => recorded));
  }

  /** What is not recorded by now never will be. */
  giveUp(): void {
    this.#givenUp.abort(new Error('the job is stopped'));
  }

  async #do(claimed: Claimed, leading: AbortSignal): Promise<Ending> {
    const { clock, logger } = this.#runtime;
    const overtime = new AbortController();
    const { signal, unlink } = linkSignals(leading, overtime.signal);
    const { maxRunMs, maxAttempts } = this.#options;
    const cancel =
      maxRunMs === undefined ? nothing : clock.schedule(maxRunMs, () => overtime.abort(this.#overtime(maxRunMs)));
    const tick = new Tick(this.#name, claimed.token, signal, claimed.run);
    const begunAt = clock.now().monotonicMs;
    logger.debug('A run starts', { event: 'schedule.started', job: this.#name, tick });
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#work(tick);
    } catch (error) {
      failure = { error };
    } finally {
      cancel();
      unlink();
    }
    /* The monotonic clock alone: how long it took is no question of safety, and a wall clock that was set would make nonsense of it. */
    const durationMs = Math.round(clock.now().monotonicMs - begunAt);
    if (overtime.signal.aborted) failure = { error: overtime.signal.reason };
    if (failure === undefined) {
      logger.debug('A run has finished', { event: 'schedule.finished', job: this.#name, tick, durationMs });
      tell('run', { job: this.#name, state: 'finished', tookMs: durationMs });
      return { state: 'finished', durationMs };
    }
    const error = errorText(failure.error);
    /* It was cut off; whether it is to be started once more should not depend on who is first to say so. */
    const isCutOff = leading.aborted && !overtime.signal.aborted;
    const isRetryDue = isCutOff && claimed.run.attempt < maxAttempts;
    logger.warn(isCutOff ? 'A run was cut off by the end of its leader' : 'A run has failed', {
      event: isCutOff ? 'schedule.cut-off' : 'schedule.failed',
      job: this.#name,
      tick,
      durationMs,
      error,
    });
    const state = isCutOff ? 'abandoned' : 'failed';
    tell('run', { job: this.#name, state, tookMs: durationMs });
    return { state, durationMs, error, ...(isRetryDue ? { isRetryDue } : {}) };
  }

  /** Resolves to the revision. Repeats for as long as it takes, across outages and terms: the work is done, whoever leads now. */
  async #record(claimed: Claimed, ending: Ending): Promise<bigint> {
    const { clock, random, logger } = this.#runtime;
    const { signal } = this.#givenUp;
    for (let failures = 0; ; failures += 1) {
      try {
        const { succeeded, revision } = await this.#ledger.close(claimed, ending, signal);
        if (succeeded) return revision;
        logger.info('A run was recorded before, or called abandoned by a later leader', {
          event: 'schedule.overtaken',
          job: this.#name,
          record: claimed.key,
          state: ending.state,
        });
        return 0n;
      } catch (error) {
        signal.throwIfAborted();
        logger.warn('It could not be recorded yet how a run ended', {
          event: 'schedule.unrecorded',
          job: this.#name,
          error: String(error),
        });
      }
      const pauseMs = fullJitterMs(failures, RECORDING, () => random.uniform());
      await sleep(clock, pauseMs, signal);
    }
  }

  #overtime(maxRunMs: number): LimitExceededError {
    return new LimitExceededError(
      `The run of ${JSON.stringify(this.#name)} took longer than its maxRunMs of ${maxRunMs} ms and is to end. ` +
        'It is waited for: until it ends, the job starts nothing else unless it may overlap.',
    );
  }
}
