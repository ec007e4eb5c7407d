/**
 * A lock over processes, with a fencing token.
 *
 * Guarantees. Tokens rise from holder to holder. `isHeld()` is true for at most one holder at a time, up to the limits that
 * session.ts states. What is not guaranteed by a lock at all: that a write sent while it was held arrives while it is held. Give the
 * token to a guard at the resource.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { expectDuration, expectFunction, expectOptions, expectSignal } from '../arguments.ts';
import {
  CoordinationUnavailableError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  SelfDeadlockError,
} from '../errors.ts';
import type { Health } from '../health/health.ts';
import { inspectQueue, type QueueReport } from '../queue/inspect.ts';
import type { JoinOptions, LineIdentity } from '../queue/line.ts';
import type { Tenure } from '../queue/tenure.ts';
import type { Departure } from '../queue/ticket.ts';
import type { WaitQueue } from '../queue/wait-queue.ts';
import { onAbort } from '../runtime/abort.ts';
import { DeadlineReached, underDeadline, withinDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Repetition } from '../store/repeat.ts';
import { asPublicError } from '../store/store-error.ts';
import type { Store } from '../store/store.ts';
import { HeldLock } from './held-lock.ts';

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

export interface CallSignal {
  readonly signal?: AbortSignal | undefined;
}

/** What the locks of one coordinator share. */
export interface LockContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly health: Health;
  readonly queue: WaitQueue;
  readonly keyspace: Keyspace;
  readonly repetition: Repetition;
  /** The whole of a call with its repeats, in milliseconds, where the call has no timeout of its own. */
  readonly deadlineMs: number;
}

interface Holding {
  readonly queue: WaitQueue;
  readonly prefix: string;
  readonly tenure: Tenure;
}

/**
 * What the running piece of code holds by `with`: asking for it again would never end. One for all coordinators, since Node never lets go
 * of an AsyncLocalStorage that was used, and up to Node 22 each of them costs every promise of the process something.
 */
const underLock = new AsyncLocalStorage<readonly Holding[]>();

export class FencedLock {
  readonly name: string;
  readonly #context: LockContext;
  readonly #identity: LineIdentity;

  /** @internal */
  constructor(context: LockContext, name: string) {
    this.name = name;
    this.#context = context;
    const shown = `lock ${JSON.stringify(name)}`;
    this.#identity = {
      prefix: context.keyspace.queue('lock', name),
      name: shown,
      lossOf: (reason) =>
        new LockLostError(
          `The ${shown} is not held any more: ${reason.message}. Stop the work; unguarded writes may conflict.`,
          {
            cause: reason,
          },
        ),
      timeoutOf: (waitedMs) =>
        new LockTimeoutError(
          `The ${shown} was held by somebody else for all of the ${waitedMs} ms. etcd answers; try again later.`,
        ),
    };
  }

  /**
   * Waits for the lock. One round trip to etcd when nobody has it.
   *
   * Rejects with LockTimeoutError: somebody holds it; CoordinationUnavailableError: etcd does not answer; `signal.reason`;
   * SelfDeadlockError inside `with` of the same lock; AccessDeniedError; ClosedError. Whatever was sent for a call that rejects is
   * withdrawn in the background.
   */
  async acquire(options: AcquireOptions = {}): Promise<HeldLock> {
    return this.#wrap(await this.#acquire(options));
  }

  /**
   * The lock, or `undefined` if somebody has it or waits for it. Leaves nothing behind when it fails. Rejects as {@link acquire} does,
   * with CoordinationUnavailableError after the request's deadline.
   */
  async tryAcquire(options: CallSignal = {}): Promise<HeldLock | undefined> {
    expectOptions('tryAcquire', options, ['signal']);
    const { queue } = this.#context;
    const caller = expectSignal(options.signal);
    const tenure = await this.#withinDeadline(caller, (signal) => queue.tryJoin(this.#identity, signal));
    return tenure === undefined ? undefined : this.#wrap(tenure);
  }

  /**
   * Does `work` under the lock. If the lock is lost, `held.signal` aborts, the work is waited for, and the call rejects with
   * LockLostError whatever the work returned (its own error is the cause). Otherwise the call settles as the work did, after the
   * release; a release that etcd does not answer is finished in the background and does not reject good work.
   */
  async with<T>(work: (held: HeldLock) => Promise<T> | T, options: AcquireOptions = {}): Promise<T> {
    expectFunction('the work of with', work);
    const tenure = await this.#acquire(options);
    const stop = onAbort(options.signal, (reason) => tenure.interrupt(reason));
    try {
      return await this.#run(tenure, work);
    } finally {
      stop();
    }
  }

  /** Who holds the lock and who waits for it, read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError. */
  inspect(options: CallSignal = {}): Promise<QueueReport> {
    expectOptions('inspect', options, ['signal']);
    const { runtime, store, repetition, keyspace } = this.#context;
    return this.#withinDeadline(expectSignal(options.signal), (signal) =>
      inspectQueue(runtime, store, repetition, keyspace, this.#identity.prefix, signal),
    );
  }

  async #acquire(options: AcquireOptions): Promise<Tenure> {
    expectOptions('acquire', options, ['timeoutMs', 'signal', 'waitForRecovery']);
    const { timeoutMs, signal, waitForRecovery } = options;
    if (timeoutMs !== undefined) expectDuration('timeoutMs', timeoutMs);
    const join: JoinOptions = { timeoutMs, signal: expectSignal(signal), waitForRecovery };
    if (this.#isHeldByCaller()) {
      throw new SelfDeadlockError(
        `The ${this.#identity.name} is held by the very work that asks for it. Locks are not re-entrant: pass the held lock on instead.`,
      );
    }
    return this.#context.queue.join(this.#identity, join);
  }

  #isHeldByCaller(): boolean {
    const holdings = underLock.getStore() ?? [];
    const { queue } = this.#context;
    const { prefix } = this.#identity;
    return holdings.some((each) => each.queue === queue && each.prefix === prefix && each.tenure.isHeld());
  }

  async #run<T>(tenure: Tenure, work: (held: HeldLock) => Promise<T> | T): Promise<T> {
    const { queue } = this.#context;
    const holdings = [...(underLock.getStore() ?? []), { queue, prefix: this.#identity.prefix, tenure }];
    const running = underLock.run(holdings, async () => work(this.#wrap(tenure)));
    /* A closing coordinator waits for the work even if the lock was lost under it. */
    queue.inBackground(running.catch(() => {}));
    const outcome = await running.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const loss = tenure.loss();
    if (loss === undefined) {
      const departure = await this.#release(tenure).catch(() => 'left' as const);
      if (departure === 'left') {
        if ('error' in outcome) throw outcome.error;
        return outcome.value;
      }
    }
    const reason = loss ?? this.#identity.lossOf(new Error('its key was not in etcd any more when it was released'));
    throw 'error' in outcome && reason instanceof LockLostError
      ? new LockLostError(reason.message, { cause: outcome.error })
      : reason;
  }

  /** The deadline is the release's own: the signal of the call that held the lock has often aborted by now. */
  async #release(tenure: Tenure): Promise<Departure> {
    const { runtime, deadlineMs } = this.#context;
    try {
      return await withinDeadline(runtime.clock, deadlineMs, undefined, () => tenure.release());
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw error;
      throw new OutcomeUnknownError(
        `The release of the ${this.#identity.name} was sent and no answer came within ${deadlineMs} ms. It is repeated in the ` +
          'background until it is answered or the lease ends; nothing is left for you to do. The lock was yours until you released it.',
        { cause: error },
      );
    }
  }

  async #withinDeadline<T>(caller: AbortSignal | undefined, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, deadlineMs, health } = this.#context;
    try {
      /* The last word is with the act: a lock that was got as the deadline passed must not be left to nobody. */
      return await underDeadline(runtime.clock, deadlineMs, caller, act);
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, `ask for the ${this.#identity.name}`);
      const { state, reason } = health;
      throw new CoordinationUnavailableError(
        `etcd did not answer within ${deadlineMs} ms about the ${this.#identity.name} (health: ${state}` +
          `${reason === undefined ? '' : `, ${reason}`}). This says nothing about who holds it.`,
        { cause: error },
      );
    }
  }

  #wrap(tenure: Tenure): HeldLock {
    return new HeldLock(this.name, tenure, (held) => this.#release(held));
  }
}
