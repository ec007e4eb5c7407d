import { expectFunction, expectOptions } from '../arguments.ts';
import { linkSignals } from '../runtime/abort.ts';
import { elapsedMs } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { FencedLock } from './fenced-lock.ts';
import type { HeldLock } from './held-lock.ts';
import type { AcquireOptions } from './lockable.ts';

/** Several locks that are held together. */
export class HeldLocks {
  readonly #held: ReadonlyMap<string, HeldLock>;
  /** Aborts as soon as one of the locks is lost, with its LockLostError. */
  readonly signal: AbortSignal;

  /** @internal */
  constructor(held: ReadonlyMap<string, HeldLock>, signal: AbortSignal) {
    this.#held = held;
    this.signal = signal;
  }

  /** One of the locks, for its token. Throws a TypeError for a name that is not among them. */
  get(name: string): HeldLock {
    const held = this.#held.get(name);
    if (held === undefined)
      throw new TypeError(`Expected one of ${[...this.#held.keys()].join(', ')}, got ${JSON.stringify(name)}`);
    return held;
  }

  /** The fencing token of one of the locks, for the guard of its resource. */
  token(name: string): bigint {
    return this.get(name).token;
  }

  /** Whether all of them are held now. */
  isHeld(): boolean {
    return [...this.#held.values()].every((held) => held.isHeld());
  }

  /** Throws LockLostError unless all of them are held now. */
  assertHeld(): void {
    for (const held of this.#held.values()) held.assertHeld();
  }

  /** The least of what remains of any of them, in milliseconds. */
  remainingMs(): number {
    return Math.min(...[...this.#held.values()].map((held) => held.remainingMs()));
  }

  /** The compares of all of them, for a transaction of the caller's own. */
  ifHeld(): readonly { readonly key: string; readonly createRevision: bigint }[] {
    return [...this.#held.values()].flatMap((held) => held.ifHeld());
  }
}

/**
 * Several locks at once. They are taken one after the other in the order of their names, the same everywhere, so two sets that overlap
 * never wait for each other in a circle. The order holds among lock sets; locks taken one inside the other by hand are the
 * caller's to order.
 */
export class LockSet {
  readonly #runtime: Runtime;
  readonly #locks: readonly FencedLock[];

  /** @internal */
  constructor(runtime: Runtime, locks: readonly FencedLock[]) {
    this.#runtime = runtime;
    this.#locks = locks;
  }

  /** The names, in the order in which they are taken. */
  get names(): readonly string[] {
    return this.#locks.map(({ name }) => name);
  }

  /**
   * Does `work` under all of the locks. Options and errors are those of a single lock's `with`; `timeoutMs` is for all of them
   * together. What was taken is released when one of them cannot be had, in the background: the caller has waited long enough.
   */
  with<T>(work: (held: HeldLocks) => Promise<T> | T, options: AcquireOptions = {}): Promise<T> {
    expectFunction('the work of with', work);
    expectOptions('with', options, ['timeoutMs', 'signal', 'waitForRecovery']);
    return new Promise((resolve, reject) => {
      void this.#nest(0, new Map(), work, { ...options, giveUp: reject }).then(resolve, reject);
    });
  }

  #nest<T>(
    index: number,
    held: ReadonlyMap<string, HeldLock>,
    work: (held: HeldLocks) => Promise<T> | T,
    { giveUp, ...options }: AcquireOptions & { readonly giveUp: (error: unknown) => void },
  ): Promise<T> {
    const lock = this.#locks[index];
    if (lock === undefined) return this.#run(held, work);
    let isTaken = false;
    const startedAt = this.#runtime.clock.now();
    const inner = async (taken: HeldLock): Promise<T> => {
      isTaken = true;
      const { timeoutMs } = options;
      const left =
        timeoutMs === undefined
          ? options
          : { ...options, timeoutMs: Math.max(0, timeoutMs - elapsedMs(startedAt, this.#runtime.clock.now())) };
      /* While the others are waited for, the loss of one that is held already ends the waiting. */
      const { signal, unlink } = linkSignals(options.signal, taken.signal);
      try {
        return await this.#nest(index + 1, new Map([...held, [lock.name, taken]]), work, { ...left, signal, giveUp });
      } finally {
        unlink();
      }
    };
    const nested = lock.with(inner, options);
    nested.catch((error: unknown) => {
      if (!isTaken) giveUp(error);
    });
    return nested;
  }

  async #run<T>(held: ReadonlyMap<string, HeldLock>, work: (held: HeldLocks) => Promise<T> | T): Promise<T> {
    const { signal, unlink } = linkSignals(...[...held.values()].map((lock) => lock.signal));
    try {
      return await work(new HeldLocks(held, signal));
    } finally {
      unlink();
    }
  }
}
