import { expectSignal } from '../arguments.ts';
import { CoordinationUnavailableError, JobPausedError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { DeadlineReached, underDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Operations } from '../session/operations.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { asPublicError } from '../store/store-error.ts';
import type { Compare, KeyValue, RangeRequest, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
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
export interface ControlContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly health: Health;
  readonly operations: Operations;
  readonly repetition: Repetition;
  readonly deadlineMs: number;
  readonly instanceId: string;
}

/** A request gives way to others at the same millisecond so often. */
const REQUEST_ATTEMPTS = 20;

/** What any process may ask of a job, or tell it, whoever leads it. */
export class Controls {
  readonly #context: ControlContext;
  readonly #keys: JobKeys;
  readonly #job: string;

  constructor(context: ControlContext, keys: JobKeys, name: string) {
    this.#context = context;
    this.#keys = keys;
    this.#job = `schedule ${JSON.stringify(name)}`;
  }

  /** The newest records, in the order of the claims, whatever the clocks said. */
  history(limit: number, caller: AbortSignal | undefined): Promise<readonly JobRecord[]> {
    return this.#within(`read the history of ${this.#job}`, caller, async (signal) => {
      const newest = { by: 'create', order: 'descend' } as const;
      const [entries = []] = await this.#read(signal, { prefix: this.#keys.history, sort: newest, limit });
      return entries.toSorted(newestFirst).flatMap((entry) => readRecord(entry) ?? []);
    });
  }

  status(caller: AbortSignal | undefined): Promise<JobStatus> {
    return this.#within(`read the status of ${this.#job}`, caller, async (signal) => {
      const { paused: pausedKey, last: lastKey, trigger: triggerKey } = this.#keys;
      const read = await this.#read(signal, { key: pausedKey }, { key: lastKey }, { key: triggerKey });
      const [paused, last, trigger] = read.map(([entry]) => entry);
      const pause = paused === undefined ? undefined : (readMark(paused) ?? { atMs: 0, by: '' });
      const settled = last === undefined ? undefined : readSettled(last);
      const request = trigger === undefined ? undefined : readMark(trigger);
      return {
        paused: pause === undefined ? undefined : { since: new Date(pause.atMs), by: pause.by },
        settledUntil: settled === undefined ? undefined : new Date(settled.atMs),
        requested: request === undefined ? undefined : new Date(request.atMs),
      };
    });
  }

  pause(caller: AbortSignal | undefined): Promise<void> {
    return this.#within(`pause ${this.#job}`, caller, async (signal) => {
      const { paused: key } = this.#keys;
      this.#expectContact(`pause ${this.#job}`);
      const put = { type: 'put', key, value: this.#mark(this.#nowMs()) } as const;
      await this.#context.operations.commit({ compare: [isAbsent(key)], then: [put] }, signal);
    });
  }

  resume(caller: AbortSignal | undefined): Promise<void> {
    return this.#within(`resume ${this.#job}`, caller, async (signal) => {
      this.#expectContact(`resume ${this.#job}`);
      const then = [{ type: 'delete', key: this.#keys.paused } as const];
      await this.#context.operations.commit({ compare: [], then }, signal);
    });
  }

  /** Resolves to the instant of the request: of this one, or of the one that is waiting already. */
  trigger(caller: AbortSignal | undefined): Promise<Date> {
    return this.#within(`trigger ${this.#job}`, caller, async (signal) => {
      this.#expectContact(`trigger ${this.#job}`);
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
        const [[isPaused] = [], [waiting] = []] = await this.#read(signal, { key: paused }, { key });
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

  async #read(
    signal: AbortSignal,
    ...ranges: readonly [RangeRequest, ...RangeRequest[]]
  ): Promise<readonly (readonly KeyValue[])[]> {
    const { runtime, store, repetition } = this.#context;
    const call = { timeoutMs: repetition.attemptTimeoutMs, signal };
    const read = () => store.transact(rangeThroughRaft(...ranges), call);
    const { responses } = await repeat(runtime, repetition, read, { signal });
    return responses.map(entriesOf);
  }

  /** Nothing is queued while there is no contact. */
  #expectContact(what: string): void {
    if (this.#context.health.state !== 'degraded') return;
    throw new CoordinationUnavailableError(
      `Could not ${what}: there has been no contact with etcd for longer than a lease lasts. Nothing was sent, and nothing is queued.`,
    );
  }

  async #within<T>(
    what: string,
    caller: AbortSignal | undefined,
    act: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { runtime, deadlineMs } = this.#context;
    try {
      return await underDeadline(runtime.clock, deadlineMs, expectSignal(caller), act);
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, what);
      throw new CoordinationUnavailableError(`Could not ${what}: etcd did not answer within ${deadlineMs} ms.`, {
        cause: error,
      });
    }
  }
}

/** What was put together is told in the order of its ticks: those that were passed over, then the one that was started. */
function newestFirst(a: KeyValue, b: KeyValue): number {
  if (a.createRevision !== b.createRevision) return a.createRevision < b.createRevision ? 1 : -1;
  return a.key < b.key ? 1 : -1;
}

function isAbsent(key: string): Compare {
  return { key, target: 'create', is: '=', than: 0n };
}
