import { expectBoolean, expectDuration, expectFunction, expectOptions, expectSignal } from '../arguments.ts';
import { ClosedError, LockLostError, LockTimeoutError, SelfDeadlockError } from '../errors.ts';
import { Contest, type ContestContext } from '../queue/contest.ts';
import type { Keeping } from '../queue/custody.ts';
import type { JoinOptions } from '../queue/line.ts';
import { warnOfOverrun } from '../queue/overrun.ts';
import type { Tenure } from '../queue/tenure.ts';
import type { TicketQueue } from '../queue/ticket-context.ts';
import type { WaitQueue } from '../queue/wait-queue.ts';
import { onAbort } from '../runtime/abort.ts';
import { Ambient } from '../runtime/ambient.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** How to wait for a lock, a permit or a side. */
export interface AcquireOptions {
  /**
   * How long to wait, in milliseconds.
   * @default no limit
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting. In `with` it is also forwarded to `held.signal`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Go on waiting while there is no contact with etcd for longer than a lease lasts, instead of rejecting at once.
   * @default false
   */
  readonly waitForRecovery?: boolean | undefined;
}

/** Of a call that has nothing else to be told. */
export interface CallSignal {
  /** Ends the call: it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** What tells one kind of lock from another. */
export interface LockKind {
  /** For error messages: `lock "invoice:42"`. */
  readonly shown: string;
  readonly queue: Omit<TicketQueue, 'value' | 'watchAfterMs'>;
  /** So many of this process stand in the queue at a time, where several may have it at once. */
  readonly places?: number;
  /** For how long the key may be passed on in this process, in milliseconds. */
  readonly handoffMs: number;
  /** How often one piece of work may hold it before asking again could never end. */
  readonly most: number;
}

interface UnderLock {
  readonly queue: WaitQueue;
  readonly prefix: string;
  readonly tenure: Tenure;
}

/** What the running piece of code holds by `with`, of all coordinators: asking for it again would never end. */
const underLock = new Ambient<readonly UnderLock[]>();

/** Most locks are held for less: they then cost no watch at all. */
const WATCH_AFTER_MS = 250;

/** What can be acquired, worked under and released: the verbs of locks, semaphores and read-write locks. */
export abstract class Lockable<Held> {
  /** As it was given to the coordinator. */
  readonly name: string;
  /** @internal */
  protected readonly contest: Contest;
  readonly #runtime: Runtime;
  readonly #queue: WaitQueue;
  readonly #kind: LockKind;
  readonly #keeping: Keeping;

  /** @internal */
  protected constructor(context: ContestContext, name: string, kind: LockKind, keeping: Keeping = {}) {
    const { shown, queue, places, handoffMs } = kind;
    this.name = name;
    this.#runtime = context.runtime;
    this.#queue = context.queue;
    this.#kind = kind;
    this.#keeping = keeping;
    this.contest = new Contest(context, {
      places,
      isForShort: true,
      handoffMs,
      name: shown,
      value: '',
      watchAfterMs: WATCH_AFTER_MS,
      lossOf: (reason) =>
        new LockLostError(
          `The ${shown} is not held any more: ${reason.message}. Stop the work; unguarded writes may conflict.`,
          { cause: reason },
        ),
      timeoutOf: (waitedMs) =>
        new LockTimeoutError(
          `The ${shown} was held by somebody else for all of the ${waitedMs} ms. etcd answers; try again later.`,
        ),
      /* Last: a literal that begins with a spread has a shape of its own in V8, which is larger than the object. */
      ...queue,
    });
  }

  /**
   * Waits for the lock. One round trip to etcd when nobody has it.
   *
   * Rejects with LockTimeoutError: somebody holds it; CoordinationUnavailableError: etcd does not answer; `signal.reason`;
   * SelfDeadlockError inside `with` of the same lock; AccessDeniedError; ClosedError. Whatever was sent for a call that rejects is
   * withdrawn in the background.
   */
  async acquire(options: AcquireOptions = {}): Promise<Held> {
    return this.wrap(await this.#acquire(options));
  }

  /**
   * The lock, or `undefined` if somebody has it or waits for it. Leaves nothing behind when it fails. Rejects as {@link acquire} does,
   * with CoordinationUnavailableError after the request's deadline.
   */
  async tryAcquire(options: CallSignal = {}): Promise<Held | undefined> {
    expectOptions('tryAcquire', options, ['signal']);
    const tenure = await this.contest.tryJoin(expectSignal(options.signal), this.#keeping);
    return tenure === undefined ? undefined : this.wrap(tenure);
  }

  /**
   * Does `work` under the lock. If the lock is lost, `held.signal` aborts, the work is waited for, and the call rejects with
   * LockLostError whatever the work returned (its own error is the cause). Otherwise the call settles as the work did, after the
   * release; a release that etcd does not answer is finished in the background and does not reject good work.
   */
  async with<T>(work: (held: Held) => Promise<T> | T, options: AcquireOptions = {}): Promise<T> {
    expectFunction('the work of with', work);
    const tenure = await this.#acquire(options);
    const stop = onAbort(options.signal, (reason) => tenure.interrupt(reason));
    try {
      return await this.#run(tenure, work);
    } finally {
      stop();
    }
  }

  /** @internal What the caller is given of a tenure. */
  protected abstract wrap(tenure: Tenure): Held;

  async #acquire(options: AcquireOptions): Promise<Tenure> {
    expectOptions('acquire', options, ['timeoutMs', 'signal', 'waitForRecovery']);
    const { timeoutMs, signal, waitForRecovery = false } = options;
    if (timeoutMs !== undefined) expectDuration('timeoutMs', timeoutMs);
    expectBoolean('waitForRecovery', waitForRecovery);
    const join: JoinOptions = { timeoutMs, signal: expectSignal(signal), waitForRecovery, keeping: this.#keeping };
    if (this.#holdsAllOf()) {
      throw new SelfDeadlockError(
        `The ${this.contest.identity.name} is held by the very work that asks for it. Locks are not re-entrant: pass the held lock on instead.`,
      );
    }
    return this.contest.join(join);
  }

  /** The running work holds as many of it already as there can be. */
  #holdsAllOf(): boolean {
    const holdings = underLock.get() ?? [];
    const { prefix } = this.contest.identity;
    const isOfThis = (each: UnderLock): boolean =>
      each.queue === this.#queue && each.prefix === prefix && each.tenure.isHeld();
    return holdings.filter(isOfThis).length >= this.#kind.most;
  }

  async #run<T>(tenure: Tenure, work: (held: Held) => Promise<T> | T): Promise<T> {
    const holding = { queue: this.#queue, prefix: this.contest.identity.prefix, tenure };
    const holdings = [...(underLock.get() ?? []), holding];
    const stop = warnOfOverrun(this.#runtime, this.contest.identity.name, tenure, this.#queue.closing);
    const { result, loss } = await this.contest.conduct(tenure, () =>
      underLock.run(holdings, () => work(this.wrap(tenure))),
    );
    stop();
    if (loss !== undefined) {
      if (!('error' in result)) throw loss;
      const Loss = loss instanceof ClosedError ? ClosedError : LockLostError;
      throw new Loss(loss.message, { cause: result.error });
    }
    if ('error' in result) throw result.error;
    return result.value;
  }
}
