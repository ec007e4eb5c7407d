/**
 * What lock and election do with a wait queue in the same way: join it, work under a tenure, release it in time, ask who is in it. Every
 * call settles within its deadline, and says whether it was contention or an outage.
 */
import { CoordinationUnavailableError, OutcomeUnknownError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { DeadlineReached, settledWithin, underDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Repetition } from '../store/repeat.ts';
import { asPublicError } from '../store/store-error.ts';
import type { Store } from '../store/store.ts';
import type { Keeping, LineIdentity } from './custody.ts';
import type { Departure } from './departure.ts';
import { inspectQueue, type QueueReport, type Reading } from './inspect.ts';
import type { JoinOptions } from './line.ts';
import { narrated } from './narration.ts';
import type { Tenure } from './tenure.ts';
import type { WaitQueue } from './wait-queue.ts';

/** What the contests of one coordinator share. */
export interface ContestContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly health: Health;
  readonly queue: WaitQueue;
  readonly keyspace: Keyspace;
  readonly repetition: Repetition;
  /** The whole of a call with its repeats, in milliseconds, where the call has no timeout of its own. */
  readonly deadlineMs: number;
}

/** How work under a tenure came out, once it has ended and the tenure has. */
export interface Outcome<T> {
  readonly result: { readonly value: T } | { readonly error: unknown };
  /** The tenure was lost before the work ended, whatever the work made of it. */
  readonly loss: Error | undefined;
}

export class Contest {
  readonly identity: LineIdentity;
  readonly #context: ContestContext;

  constructor(context: ContestContext, identity: LineIdentity) {
    this.#context = context;
    this.identity = identity;
  }

  /** Waits for its turn. Rejects as {@link WaitQueue.join} does. */
  join(options: JoinOptions): Promise<Tenure> {
    const { runtime, queue } = this.#context;
    return narrated(runtime.clock, this.identity.prefix, () => queue.join(this.identity, options));
  }

  /** Only if nobody has it or waits for it. Rejects with CoordinationUnavailableError after the request's deadline. */
  tryJoin(caller: AbortSignal | undefined, keeping: Keeping = {}): Promise<Tenure | undefined> {
    const { runtime, queue } = this.#context;
    return narrated(runtime.clock, this.identity.prefix, () =>
      this.ask(caller, (signal) => queue.tryJoin(this.identity, signal, keeping)),
    );
  }

  /** Who has it and who waits for it, read through raft. */
  inspect(caller: AbortSignal | undefined): Promise<QueueReport> {
    return this.read(caller, inspectQueue);
  }

  /** Looks into the queue. */
  read<T>(caller: AbortSignal | undefined, look: (reading: Reading) => Promise<T>): Promise<T> {
    const { runtime, store, repetition, keyspace } = this.#context;
    const { prefix } = this.identity;
    return this.ask(caller, (signal) => look({ runtime, store, repetition, keyspace, prefix, signal }));
  }

  /**
   * Does `work`, waits for its end for as long as it takes, and releases: never under running work. A closing coordinator waits for it,
   * even if the tenure was lost under it. A release that etcd does not answer is finished in the background. Never rejects.
   */
  async conduct<T>(tenure: Tenure, work: () => Promise<T> | T): Promise<Outcome<T>> {
    const running = (async () => work())();
    this.#context.queue.attend(tenure, running);
    const result = await running.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const loss = tenure.loss();
    if (loss !== undefined) return { result, loss };
    const departure = await this.release(tenure).catch(() => 'left' as const);
    if (departure === 'left') return { result, loss: undefined };
    return { result, loss: this.identity.lossOf(new Error('its key was not in etcd any more when it was released')) };
  }

  /**
   * The deadline is the release's own: the signal of the call that held it has often aborted by now. Rejects with OutcomeUnknownError
   * after it; the release goes on.
   */
  async release(tenure: Tenure): Promise<Departure> {
    const { runtime, deadlineMs } = this.#context;
    try {
      return await settledWithin(runtime.clock, deadlineMs, tenure.release());
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw error;
      throw new OutcomeUnknownError(
        `The release of the ${this.identity.name} was sent and no answer came within ${deadlineMs} ms. It is repeated in the ` +
          'background until it is answered or the lease ends; nothing is left for you to do. It was yours until you released it.',
        { cause: error },
      );
    }
  }

  /**
   * Does `act` within `withinMs`, which is the request's deadline unless it is told. What etcd does not answer in time is an outage and says
   * nothing about who holds it.
   */
  async ask<T>(
    caller: AbortSignal | undefined,
    act: (signal: AbortSignal) => Promise<T>,
    withinMs: number = this.#context.deadlineMs,
  ): Promise<T> {
    const { runtime, health } = this.#context;
    try {
      /* The last word is with the act: what was got as the deadline passed must not be left to nobody. */
      return await underDeadline(runtime.clock, withinMs, caller, act);
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, `ask for the ${this.identity.name}`);
      const { state, reason } = health;
      throw new CoordinationUnavailableError(
        `etcd did not answer within ${Math.round(withinMs)} ms about the ${this.identity.name} (health: ${state}` +
          `${reason === undefined ? '' : `, ${reason}`}). This says nothing about who holds it.`,
        { cause: error },
      );
    }
  }
}
