/**
 * A lock over processes, with a fencing token.
 *
 * Guarantees. Tokens rise from holder to holder. `isHeld()` is true for at most one holder at a time, up to the limits that
 * session.ts states. What is not guaranteed by a lock at all: that a write sent while it was held arrives while it is held. Give the
 * token to a guard at the resource.
 */
import { expectDuration, expectOptions, expectSignal, show } from '../arguments.ts';
import type { ContestContext } from '../queue/contest.ts';
import type { Keeping } from '../queue/custody.ts';
import type { QueueReport } from '../queue/inspect.ts';
import type { Tenure } from '../queue/tenure.ts';
import { HeldLock } from './held-lock.ts';
import { Lockable, type CallSignal } from './lockable.ts';

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

/**
 * How long one process may pass a lock on before another has its turn. A hand-over between processes takes some milliseconds, so most
 * of the time is work's; and who waits behind n processes waits for n times this and their last tenures.
 */
const HANDOFF_MS = 20;

/**
 * A lock over processes, with a fencing token for each holder. Made by `coordinator.lock`. At most one holder at a time sees `isHeld()` true, up to the
 * limits that the README states. A write that was sent while it was held may arrive later: give the token to a guard at the resource.
 */
export class FencedLock extends Lockable<HeldLock> {
  /** @internal */
  constructor(context: ContestContext, name: string, options: LockOptions = {}) {
    const keeping = completeKeeping(options);
    /* First, since it refuses what cannot be a name. */
    const prefix = context.keyspace.queue('lock', name);
    const shown = `lock ${JSON.stringify(name)}`;
    super(context, name, { shown, queue: { prefix }, handoffMs: HANDOFF_MS, most: 1 }, keeping);
  }

  /** Who holds the lock and who waits for it, read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError. */
  inspect(options: CallSignal = {}): Promise<QueueReport> {
    expectOptions('inspect', options, ['signal']);
    return this.contest.inspect(expectSignal(options.signal));
  }

  /** @internal */
  protected wrap(tenure: Tenure): HeldLock {
    return new HeldLock(this.name, tenure, this.contest);
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
