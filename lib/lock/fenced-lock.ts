/**
 * A lock over processes, with a fencing token.
 *
 * Guarantees. Tokens rise from holder to holder. `isHeld()` is true for at most one holder at a time, up to the limits that
 * session.ts states. What is not guaranteed by a lock at all: that a write sent while it was held arrives while it is held. Give the
 * token to a guard at the resource.
 */
import { expectDuration, expectFunction, expectOptions, expectSignal, show } from '../arguments.ts';
import { LockLostError, LockTimeoutError, SelfDeadlockError } from '../errors.ts';
import { Contest, type ContestContext } from '../queue/contest.ts';
import type { Keeping } from '../queue/custody.ts';
import type { QueueReport } from '../queue/inspect.ts';
import type { JoinOptions } from '../queue/line.ts';
import type { Tenure } from '../queue/tenure.ts';
import type { WaitQueue } from '../queue/wait-queue.ts';
import { onAbort } from '../runtime/abort.ts';
import { Ambient } from '../runtime/ambient.ts';
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

/** What may become of the lock's key when it is released. See docs/locks.md. */
export interface LockOptions {
  /**
   * Whether a release may pass the lock on to the next one of this process that waits for it, without a call to etcd, under the next
   * token. For at most 20 ms (and the tenure under way then) after this process got it, so that others have their turn.
   * @default true
   */
  readonly handoff?: boolean | undefined;
  /**
   * For how long a released lock that nobody wants is kept for the next acquire of this process, in milliseconds. Another process that
   * asks for it gets it at once, one that only tries is refused meanwhile.
   * @default 0
   */
  readonly lingerMs?: number | undefined;
}

export interface CallSignal {
  readonly signal?: AbortSignal | undefined;
}

interface Holding {
  readonly queue: WaitQueue;
  readonly prefix: string;
  readonly tenure: Tenure;
}

/** What the running piece of code holds by `with`, of all coordinators: asking for it again would never end. */
const underLock = new Ambient<readonly Holding[]>();

/** Most locks are held for less: they then cost no watch at all. */
const WATCH_AFTER_MS = 250;

/**
 * How long one process may pass a lock on before another has its turn. A hand-over between processes takes some milliseconds, so most
 * of the time is work's; and who waits behind n processes waits for n times this and their last tenures.
 */
const HANDOFF_MS = 20;

export class FencedLock {
  readonly name: string;
  readonly #queue: WaitQueue;
  readonly #contest: Contest;
  readonly #keeping: Keeping;

  /** @internal */
  constructor(context: ContestContext, name: string, options: LockOptions = {}) {
    this.name = name;
    this.#queue = context.queue;
    this.#keeping = completeKeeping(options);
    /* First, since it refuses what cannot be a name. */
    const prefix = context.keyspace.queue('lock', name);
    const shown = `lock ${JSON.stringify(name)}`;
    this.#contest = new Contest(context, {
      prefix,
      name: shown,
      value: '',
      watchAfterMs: WATCH_AFTER_MS,
      handoffMs: HANDOFF_MS,
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
    });
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
    const tenure = await this.#contest.tryJoin(expectSignal(options.signal), this.#keeping);
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
    return this.#contest.inspect(expectSignal(options.signal));
  }

  async #acquire(options: AcquireOptions): Promise<Tenure> {
    expectOptions('acquire', options, ['timeoutMs', 'signal', 'waitForRecovery']);
    const { timeoutMs, signal, waitForRecovery } = options;
    if (timeoutMs !== undefined) expectDuration('timeoutMs', timeoutMs);
    const join: JoinOptions = { timeoutMs, signal: expectSignal(signal), waitForRecovery, ...this.#keeping };
    if (this.#isHeldByCaller()) {
      throw new SelfDeadlockError(
        `The ${this.#contest.identity.name} is held by the very work that asks for it. Locks are not re-entrant: pass the held lock on instead.`,
      );
    }
    return this.#contest.join(join);
  }

  #isHeldByCaller(): boolean {
    const holdings = underLock.get() ?? [];
    const { prefix } = this.#contest.identity;
    return holdings.some((each) => each.queue === this.#queue && each.prefix === prefix && each.tenure.isHeld());
  }

  async #run<T>(tenure: Tenure, work: (held: HeldLock) => Promise<T> | T): Promise<T> {
    const holding = { queue: this.#queue, prefix: this.#contest.identity.prefix, tenure };
    const holdings = [...(underLock.get() ?? []), holding];
    const { result, loss } = await this.#contest.conduct(tenure, () =>
      underLock.run(holdings, () => work(this.#wrap(tenure))),
    );
    if (loss !== undefined) {
      throw 'error' in result && loss instanceof LockLostError
        ? new LockLostError(loss.message, { cause: result.error })
        : loss;
    }
    if ('error' in result) throw result.error;
    return result.value;
  }

  #wrap(tenure: Tenure): HeldLock {
    return new HeldLock(this.name, tenure, (held) => this.#contest.release(held));
  }
}

function completeKeeping(options: LockOptions): Keeping {
  expectOptions('lock', options, ['handoff', 'lingerMs']);
  const { handoff = true, lingerMs = 0 } = options;
  if (typeof handoff !== 'boolean') throw new TypeError(`Expected handoff to be a boolean, got ${show(handoff)}`);
  expectDuration('lingerMs', lingerMs);
  if (lingerMs > 0 && !handoff) {
    throw new TypeError(
      'Expected handoff to be on where lingerMs is more than 0: what lingers is passed on in this process',
    );
  }
  return { handoff, lingerMs };
}
