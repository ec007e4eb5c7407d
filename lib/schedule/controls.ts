import { expectOptions, expectWholeNumber } from '../arguments.ts';
import { CoordinationUnavailableError, JobPausedError } from '../errors.ts';
import { Calls, type CallContext } from '../session/calls.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import type { Compare, KeyValue } from '../store/store.ts';
import type { JobKeys } from './job-view.ts';
import { readMark, readRecord, readSettled, runKey, type JobRecord } from './record.ts';

/** How a job stands for the whole cluster, as etcd showed it. */
export interface JobStatus {
  /** Since when, and by which instance, it is paused. */
  readonly paused: { readonly since: Date; readonly by: string } | undefined;
  /** Up to when its ticks are settled: started, or recorded as missed; `undefined` before its first leader. */
  readonly settledUntil: Date | undefined;
  /** A request to run it now that no leader has taken up yet. */
  readonly requested: Date | undefined;
}

/** What the controls of a job need of its coordinator. */
export interface ControlContext extends CallContext {
  readonly operations: Operations;
  readonly keyspace: Keyspace;
  readonly instanceId: string;
}

/** A request gives way to others at the same millisecond so often. */
const REQUEST_ATTEMPTS = 20;

/** A page of history. */
const HISTORY_DEFAULT = 20;

/** What any process may ask of a job, or tell it, whoever leads it, without taking part in it. Made by `coordinator.jobControls`. */
export class JobControls {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #context: ControlContext;
  readonly #calls: Calls;
  readonly #keys: JobKeys;
  readonly #job: string;

  /** @internal */
  constructor(context: ControlContext, name: string) {
    this.name = name;
    this.#context = context;
    this.#calls = new Calls(context);
    this.#keys = context.keyspace.job(name);
    this.#job = `schedule ${JSON.stringify(name)}`;
  }

  /**
   * What became of the newest `limit` ticks (default 20, at most 1,000), the newest first, whoever ran them: in the order of the claims, whatever
   * the clocks said. Read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError, `signal.reason`.
   */
  async history(
    options: { readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly JobRecord[]> {
    expectOptions('history', options, ['limit', 'signal']);
    const { limit = HISTORY_DEFAULT } = options;
    expectWholeNumber('limit', limit, 1, 1_000);
    return this.#calls.within(`read the history of ${this.#job}`, options.signal, async (signal) => {
      const newest = { by: 'create', order: 'descend' } as const;
      const [entries = []] = await this.#calls.read(signal, { prefix: this.#keys.history, sort: newest, limit });
      return entries.toSorted(newestFirst).flatMap((entry) => readRecord(entry) ?? []);
    });
  }

  /** How the job stands for the whole cluster; read through raft. Rejects as {@link history} does. */
  async status(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<JobStatus> {
    expectOptions('status', options, ['signal']);
    return this.#calls.within(`read the status of ${this.#job}`, options.signal, async (signal) => {
      const { paused, last, trigger } = this.#keys;
      const read = await this.#calls.read(signal, { key: paused }, { key: last }, { key: trigger });
      return readStatus(this.#keys, read.flat());
    });
  }

  /**
   * From when it resolves on, no process starts the job, until it is resumed; a run that goes on is let be. Idempotent. Rejects as
   * {@link trigger} does.
   */
  async pause(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    expectOptions('pause', options, ['signal']);
    return this.#calls.within(`pause ${this.#job}`, options.signal, async (signal) => {
      const { paused: key } = this.#keys;
      this.#calls.expectContact(`pause ${this.#job}`);
      const put = { type: 'put', key, value: this.#mark(this.#nowMs()) } as const;
      await this.#context.operations.commit({ compare: [isAbsent(key)], then: [put] }, signal);
    });
  }

  /** Ends a pause. What came due meanwhile is dealt with as the `missed` policy says. Idempotent. Rejects as {@link trigger} does. */
  async resume(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    expectOptions('resume', options, ['signal']);
    return this.#calls.within(`resume ${this.#job}`, options.signal, async (signal) => {
      this.#calls.expectContact(`resume ${this.#job}`);
      const then = [{ type: 'delete', key: this.#keys.paused } as const];
      await this.#context.operations.commit({ compare: [], then }, signal);
    });
  }

  /**
   * Asks whoever leads to run the job now, beside its schedule: after the run that goes on, if one does. Resolves once the request is
   * written down, to its instant, which is the `scheduledFor` of the tick; a request that waits already serves for both. Rejects with
   * JobPausedError, CoordinationUnavailableError, OutcomeUnknownError, AccessDeniedError, `signal.reason`.
   */
  async trigger(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Date> {
    expectOptions('trigger', options, ['signal']);
    return this.#calls.within(`trigger ${this.#job}`, options.signal, async (signal) => {
      this.#calls.expectContact(`trigger ${this.#job}`);
      const { trigger: key, paused, history } = this.#keys;
      for (let attempt = 0, atMs = this.#nowMs(); attempt < REQUEST_ATTEMPTS; attempt += 1, atMs += 1) {
        /* Ticks of a pattern are whole seconds: with the job's name an instant stands for one tick, also among those that were asked for. */
        if (atMs % 1_000 === 0) atMs += 1;
        const record = runKey(history, { scheduledForMs: atMs, attempt: 1 });
        const { succeeded } = await this.#context.operations.commit(
          {
            compare: [isAbsent(paused), isAbsent(key), isAbsent(record)],
            then: [{ type: 'put', key, value: this.#mark(atMs) }],
          },
          signal,
        );
        if (succeeded) return new Date(atMs);
        const [[isPaused] = [], [waiting] = []] = await this.#calls.read(signal, { key: paused }, { key });
        if (isPaused !== undefined) {
          throw new JobPausedError(
            `Could not trigger ${this.#job}: it is paused. Nothing was asked for; resume it first.`,
          );
        }
        if (waiting !== undefined) return new Date(readMark(waiting)?.atMs ?? atMs);
      }
      throw new CoordinationUnavailableError(`Could not trigger ${this.#job}: others did so at the same time.`);
    });
  }

  #mark(atMs: number): string {
    return JSON.stringify({ atMs, by: this.#context.instanceId });
  }

  #nowMs(): number {
    return Math.round(this.#context.runtime.clock.now().wallMs);
  }
}

/** A job's status, by those of its entries that say something about it. */
export function readStatus(keys: JobKeys, entries: readonly KeyValue[]): JobStatus {
  const find = (key: string): KeyValue | undefined => entries.find((entry) => entry.key === key);
  const [paused, last, trigger] = [find(keys.paused), find(keys.last), find(keys.trigger)];
  const pause = paused === undefined ? undefined : (readMark(paused) ?? { atMs: 0, by: '' });
  const settled = last === undefined ? undefined : readSettled(last);
  const request = trigger === undefined ? undefined : readMark(trigger);
  return {
    paused: pause === undefined ? undefined : { since: new Date(pause.atMs), by: pause.by },
    settledUntil: settled === undefined ? undefined : new Date(settled.atMs),
    requested: request === undefined ? undefined : new Date(request.atMs),
  };
}

/** What was put together is told in the order of its ticks: those that were passed over, then the one that was started. */
function newestFirst(a: KeyValue, b: KeyValue): number {
  if (a.createRevision !== b.createRevision) return a.createRevision < b.createRevision ? 1 : -1;
  return a.key < b.key ? 1 : -1;
}

function isAbsent(key: string): Compare {
  return { key, target: 'create', is: '=', than: 0n };
}
