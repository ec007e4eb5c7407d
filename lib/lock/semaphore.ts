/**
 * A number of permits over processes: at most so many are held at a time, each with a slot of its own.
 *
 * Guarantees. No two holders have one slot at a time, up to the limits that session.ts states; the tokens of a slot rise from holder to
 * holder. Who asks first is served first. What no semaphore guarantees is that a write arrives while a permit is held: where that matters,
 * give each slot a resource of its own, and its token to the guard of that.
 */
import { expectGivenOptions, expectOptions, expectSignal, expectWholeNumber } from '../arguments.ts';
import type { Contest, ContestContext } from '../queue/contest.ts';
import { inspectSlots, type SharedReport } from '../queue/inspect.ts';
import type { Tenure } from '../queue/tenure.ts';
import { HeldLock } from './held-lock.ts';
import { Lockable, type CallSignal } from './lockable.ts';

/** What a semaphore is to be. */
export interface SemaphoreOptions {
  /** How many may be held at a time, 1 to 1,000. Every process has to say the same number: the greatest one counts. */
  readonly permits: number;
}

/** Each claim looks at all slots, and each waiter at all that wait. */
const MOST_PERMITS = 1_000;

/** A permit that was acquired. It ends by {@link release}, by loss, or with the coordinator. */
export class HeldPermit extends HeldLock {
  /** Which of the permits, from 0: nobody else has this number meanwhile, and its tokens rise. Guard a resource for each. */
  readonly slot: number;

  /** @internal */
  constructor(name: string, slot: number, tenure: Tenure, contest: Contest) {
    super(name, tenure, contest);
    this.slot = slot;
  }

  /** For logs: the token as decimal text, since JSON has no bigint. */
  override toJSON(): { name: string; token: string; slot: number } {
    return { ...super.toJSON(), slot: this.slot };
  }
}

/** As many permits as were asked for, over all processes. Made by `coordinator.semaphore`. */
export class Semaphore extends Lockable<HeldPermit> {
  readonly #slots: string;

  /** @internal */
  constructor(context: ContestContext, name: string, options: SemaphoreOptions) {
    expectGivenOptions('semaphore', options, ['permits']);
    const permits = expectWholeNumber('permits', options.permits, 1, MOST_PERMITS);
    const prefix = context.keyspace.queue('semaphore', name);
    const slots = context.keyspace.slots(name);
    super(context, name, {
      shown: `semaphore ${JSON.stringify(name)}`,
      queue: { prefix, beside: permits - 1, slots: { prefix: slots, count: permits } },
      places: permits,
      handoffMs: 0,
      most: permits,
    });
    this.#slots = slots;
  }

  /** Who holds which slot, and who waits, read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError. */
  inspect(options: CallSignal = {}): Promise<SharedReport> {
    expectOptions('inspect', options, ['signal']);
    return this.contest.read(expectSignal(options.signal), (reading) => inspectSlots(reading, this.#slots));
  }

  /** @internal */
  protected wrap(tenure: Tenure): HeldPermit {
    return new HeldPermit(this.name, tenure.slot ?? 0, tenure, this.contest);
  }
}
