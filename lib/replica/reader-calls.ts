import { expectDuration, expectSignal } from '../arguments.ts';
import { ClosedError, CoordinationUnavailableError, TooStaleError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { DeadlineReached, underDeadline, withinDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { asPublicError, StoreError } from '../store/store-error.ts';
import type { Replica } from './replica.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Why nothing came within the deadline, where that is known. */
  readonly why?: (() => Error | undefined) | undefined;
  readonly timeoutMs?: number | undefined;
}

/** What the calls of those who read from a replica need. */
export interface ReaderContext {
  readonly runtime: Runtime;
  readonly health: Health;
  /** A whole call, in milliseconds, where it has no timeout of its own. */
  readonly deadlineMs: number;
}

/** How errors name a reader: `The cache "routes/"` is closed; could not read "eu" `in the cache "routes/"`. */
export interface ReaderNames {
  readonly subject: string;
  readonly object: string;
}

/** The calls of one reader: each within its deadline, none after the closing, and with errors that its caller understands. */
export class ReaderCalls {
  readonly #context: ReaderContext;
  readonly #names: ReaderNames;
  #closed: ClosedError | undefined;

  constructor(context: ReaderContext, names: ReaderNames) {
    this.#context = context;
    this.#names = names;
  }

  /** Nothing is begun any more, and what fails from now on failed for that. */
  close(): void {
    this.#closed ??= new ClosedError(`${this.#names.subject} is closed.`);
  }

  expectOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  /** Settles at its deadline whatever `act` does. */
  async read<T>(what: string, options: CallOptions, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs = this.#context.deadlineMs } = options;
    expectDuration('timeoutMs', timeoutMs);
    const caller = expectSignal(options.signal);
    return await this.#translated(what, options, () =>
      withinDeadline(this.#context.runtime.clock, timeoutMs, caller, act),
    );
  }

  /** Refused at once while there is no contact. Leaves the last word to `act`, which knows whether something was sent. */
  async write<T>(what: string, options: CallOptions, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#translated(what, options, () => {
      const { clock } = this.#context.runtime;
      return underDeadline(clock, this.#context.deadlineMs, expectSignal(options.signal), (signal) => {
        this.expectContact(what);
        return act(signal);
      });
    });
  }

  expectContact(what: string): void {
    this.#context.health.expectContact(`${what} ${this.#names.object}`);
  }

  /** Throws TooStaleError for what is older than that. */
  expectFresh(replica: Replica, maxStalenessMs: number): void {
    const ageMs = replica.ageMs();
    if (ageMs <= maxStalenessMs) return;
    throw new TooStaleError(
      `${this.#names.subject} was last proved ${Math.round(ageMs)} ms ago, and ${maxStalenessMs} is the limit.`,
    );
  }

  async #translated<T>(what: string, { why }: CallOptions, act: () => Promise<T>): Promise<T> {
    this.expectOpen();
    try {
      return await act();
    } catch (error) {
      if (error instanceof StoreError && error.reason === 'closed') this.expectOpen();
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, `${what} ${this.#names.object}`);
      const reason = why?.();
      throw new CoordinationUnavailableError(
        `Could not ${what} ${this.#names.object} in time: ${reason?.message ?? 'etcd did not answer'}.`,
        { cause: reason ?? error },
      );
    }
  }
}
