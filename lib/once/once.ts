/**
 * Work that is to be done once over all processes, and whose result everybody gets: to create a tenant, to run a migration.
 *
 * Guarantees. While the record of a key stands, no work of it begins, and every call gets what the record says. A record is written by the
 * one that has the turn, never over another, and no sooner than its work has ended. It stands for at least its TTL, unless somebody takes it
 * back or etcd is restored.
 *
 * Not guaranteed. A process that dies between the effect of its work and the record leaves the work to be done again: an effect in one
 * place and a record in another cannot be had together. So the effect has to be idempotent by the key, or guarded by the token. Data of an
 * application does not belong here: the guards' `transaction({ idempotencyKey })` writes effect and record down in one.
 *
 * Protocol.
 * 1. look: read the record, through raft. If it stands, that is the result, and nothing else is asked for.
 * 2. take turns: wait in the queue of the key. Then look again, since whoever had the turn before has recorded by now what it did.
 * 3. work, under the turn. It is waited for, whatever becomes of the turn.
 * 4. record: grant a lease for it, and put it on that in one transaction that compares that the turn still stands, and that there is no
 *    record. Each turn has a key of its own in the queue (nothing is passed on), so what is sent for one does nothing in the next, whenever
 *    it arrives. Then release.
 *
 * A turn that is lost before the work has begun is no failure: back to 2.
 */
import { expectFunction, expectOptions, expectSignal } from '../arguments.ts';
import {
  ClosedError,
  CoordinationUnavailableError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  SelfDeadlockError,
} from '../errors.ts';
import { Contest, type ContestContext, type Outcome } from '../queue/contest.ts';
import { unavailable } from '../queue/line.ts';
import type { Tenure } from '../queue/tenure.ts';
import { linkSignals, onAbort } from '../runtime/abort.ts';
import { Ambient } from '../runtime/ambient.ts';
import { elapsedMs } from '../runtime/clock.ts';
import { DeadlineReached, underDeadline } from '../runtime/deadline.ts';
import type { Operations } from '../session/operations.ts';
import { asPublicError } from '../store/store-error.ts';
import { completeOptions, type CompleteOnceOptions, type OnceOptions } from './once-options.ts';
import { seal, type Result } from './record.ts';
import { Records } from './records.ts';
import { Turn } from './turn.ts';

/** What `once` needs of its coordinator. */
export interface OnceContext extends ContestContext {
  readonly operations: Operations;
  /** Throws ClosedError once the coordinator closes. */
  readonly expectOpen: () => void;
}

/** One key, for one call. */
interface Matter {
  readonly key: string;
  /** For error messages: `once "provision:7"`. */
  readonly shown: string;
  /** Where the record stands. */
  readonly record: string;
  readonly contest: Contest;
}

/** A call, and how much longer it is willing to wait. */
interface Call extends Matter, CompleteOnceOptions {
  readonly leftMs: () => number;
}

/** How far a turn has come. */
type Progress =
  | { readonly is: 'waiting' }
  | { readonly is: 'working' }
  | { readonly is: 'recording' }
  | { readonly is: 'known'; readonly result: Result };

interface Running {
  readonly queue: OnceContext['queue'];
  readonly record: string;
  isOver: boolean;
}

/** The work that the running piece of code is within, of all coordinators: to wait for its result would never end. */
const underOnce = new Ambient<readonly Running[]>();

/** As with locks: most work is over before. */
const WATCH_AFTER_MS = 250;

export class Once {
  readonly #context: OnceContext;
  readonly #records: Records;
  readonly #instanceId: string;

  constructor(context: OnceContext, { instanceId }: { readonly instanceId: string }) {
    const { runtime, store, repetition, operations } = context;
    this.#context = context;
    this.#records = new Records(runtime, store, repetition, operations);
    this.#instanceId = instanceId;
  }

  async do<T>(key: string, work: (turn: Turn) => Promise<T> | T, options: OnceOptions = {}): Promise<T> {
    const matter = this.#matter(key);
    expectFunction('the work of once', work);
    const call = this.#begin(matter, completeOptions(options));
    this.#context.expectOpen();
    if (this.#isWithin(matter)) {
      throw new SelfDeadlockError(
        `The work of ${matter.shown} asks for its own result. It is there when the work has ended: call it from outside.`,
      );
    }
    if (!call.waitForRecovery) this.#expectContact(matter);
    const { signal: caller, timeoutMs } = call;
    const { signal, unlink } = linkSignals(caller, this.#context.queue.closing);
    /* 1 */
    const patienceMs = call.waitForRecovery ? call.leftMs() : Math.min(call.leftMs(), this.#context.deadlineMs);
    const found = await this.#look(call, patienceMs, signal).finally(unlink);
    if (found !== undefined) return found.value as T;
    for (;;) {
      const tenure = await call.contest.join({
        timeoutMs: timeoutMs === Number.POSITIVE_INFINITY ? undefined : call.leftMs(),
        patienceMs: timeoutMs,
        signal: caller,
        waitForRecovery: call.waitForRecovery,
      });
      const stop = onAbort(caller, (reason) => tenure.interrupt(reason));
      const result = await this.#take(call, tenure, work).finally(stop);
      if (result !== undefined) return result.value as T;
    }
  }

  /** Takes the record back: the work is done again by the next call. */
  async forget(key: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const matter = this.#matter(key);
    expectOptions('forgetOnce', options, ['signal']);
    const caller = expectSignal(options.signal);
    this.#context.expectOpen();
    this.#expectContact(matter);
    await matter.contest.ask(caller, (signal) => this.#records.forget(matter.record, signal));
  }

  /** One turn. Nothing: it was lost before the work had begun. */
  async #take(call: Call, tenure: Tenure, work: (turn: Turn) => unknown): Promise<Result | undefined> {
    let progress: Progress = { is: 'waiting' };
    const outcome = await call.contest.conduct(tenure, async () => {
      /* 2. The turn has come in time, so the waiting is over. */
      const patienceMs = call.waitForRecovery
        ? Math.max(call.leftMs(), this.#context.deadlineMs)
        : this.#context.deadlineMs;
      const found = await this.#look(call, patienceMs, tenure.signal);
      if (found !== undefined) {
        progress = { is: 'known', result: found };
        return;
      }
      tenure.signal.throwIfAborted();
      tenure.assertHeld();
      /* 3 */
      progress = { is: 'working' };
      const value = await this.#within(call, () => work(new Turn(call.key, tenure)));
      if (tenure.loss() !== undefined) return;
      /* 4 */
      progress = { is: 'recording' };
      const text = seal(call.shown, value, { by: this.#instanceId, token: tenure.token });
      progress = { is: 'known', result: await this.#record(call, tenure, text) };
    });
    return settle(call, progress, outcome);
  }

  #look({ contest, record }: Matter, withinMs: number, caller: AbortSignal): Promise<Result | undefined> {
    return contest.ask(caller, (signal) => this.#records.find(record, signal), withinMs);
  }

  /** 4. Within a deadline of its own: the caller's signal has told the work to stop, and what it has done all the same is done. */
  async #record({ shown, record, ttlMs }: Call, { standing }: Tenure, text: string): Promise<Result> {
    const { runtime, deadlineMs } = this.#context;
    const recorded = await underDeadline(runtime.clock, deadlineMs, undefined, (signal) =>
      this.#records.write(record, text, { standing, ttlMs }, signal),
    ).catch((error: unknown) => {
      throw unrecorded(shown, deadlineMs, error);
    });
    if (recorded !== undefined) return recorded;
    throw new LockLostError(
      `The work of ${shown} was done, but not recorded: its turn was lost before. Somebody else may do it again.`,
    );
  }

  async #within<T>({ record }: Matter, work: () => T): Promise<Awaited<T>> {
    const running = { queue: this.#context.queue, record, isOver: false };
    try {
      return await underOnce.run([...(underOnce.get() ?? []), running], work);
    } finally {
      running.isOver = true;
    }
  }

  #isWithin({ record }: Matter): boolean {
    const { queue } = this.#context;
    return (underOnce.get() ?? []).some((each) => !each.isOver && each.queue === queue && each.record === record);
  }

  #expectContact({ contest }: Matter): void {
    const { health } = this.#context;
    if (health.state === 'degraded') throw unavailable(contest.identity, health);
  }

  #begin(matter: Matter, options: CompleteOnceOptions): Call {
    const { clock } = this.#context.runtime;
    const begunAt = clock.now();
    return {
      ...matter,
      ...options,
      leftMs: () => Math.max(0, options.timeoutMs - elapsedMs(begunAt, clock.now())),
    };
  }

  #matter(key: string): Matter {
    const { keyspace } = this.#context;
    /* First, since it refuses what cannot be a key. */
    const record = keyspace.once(key);
    const shown = `once ${JSON.stringify(key)}`;
    const contest = new Contest(this.#context, {
      prefix: keyspace.queue('once-turn', key),
      value: '',
      isForShort: false,
      handoffMs: 0,
      watchAfterMs: WATCH_AFTER_MS,
      name: `turn of ${shown}`,
      lossOf: (reason) =>
        new LockLostError(
          `The turn of ${shown} is not held any more: ${reason.message}. Stop the work; somebody else may do it again.`,
          { cause: reason },
        ),
      timeoutOf: (waitedMs) =>
        new LockTimeoutError(
          `The work of ${shown} was under way elsewhere for all of the ${waitedMs} ms. etcd answers; try again later.`,
        ),
    });
    return { key, shown, record, contest };
  }
}

/** What a turn comes to. What is on record counts, whatever has become of the turn since. Nothing: it was lost before the work began. */
function settle({ shown }: Matter, progress: Progress, { result, loss }: Outcome<void>): Result | undefined {
  if (progress.is === 'known') return progress.result;
  if ('error' in result && (loss === undefined || progress.is === 'recording')) throw result.error;
  if (loss instanceof ClosedError) throw loss;
  if (progress.is === 'waiting') return undefined;
  throw new LockLostError(
    `The work of ${shown} is not recorded, whatever it has done. ${loss?.message ?? 'Its turn was lost.'}`,
    { cause: 'error' in result ? result.error : loss },
  );
}

/** Why work that was done is not on record, or may not be. */
function unrecorded(shown: string, deadlineMs: number, error: unknown): unknown {
  const done = `The work of ${shown} was done, and`;
  if (error instanceof OutcomeUnknownError) {
    return new OutcomeUnknownError(
      `${done} its record was sent and not answered. It may stand, and may still come to stand. Call again: you get it, or do the work again.`,
      { cause: error },
    );
  }
  if (error instanceof DeadlineReached) {
    return new CoordinationUnavailableError(
      `${done} is not recorded: etcd did not answer within ${deadlineMs} ms. The next call does it again.`,
      { cause: error },
    );
  }
  return asPublicError(error, `record ${shown}, whose work was done and is done again by the next call`);
}
