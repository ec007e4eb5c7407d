import { expectDuration, expectSignal } from '../arguments.ts';
import { ClosedError, CoordinationUnavailableError, TooStaleError } from '../errors.ts';
import type { Replica } from '../replica/replica.ts';
import { DeadlineReached, underDeadline, withinDeadline } from '../runtime/deadline.ts';
import { asPublicError, StoreError } from '../store/store-error.ts';
import type { CacheContext } from './cache.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Why nothing came within the deadline, where that is known. */
  readonly why?: () => Error | undefined;
  readonly timeoutMs?: number | undefined;
}

/** The calls of one cache: each within its deadline, none after the closing, and with errors that its caller understands. */
export class CacheCalls {
  readonly #context: CacheContext;
  readonly #name: string;
  #closed: ClosedError | undefined;

  constructor(context: CacheContext, prefix: string) {
    this.#context = context;
    this.#name = `the cache ${JSON.stringify(prefix)}`;
  }

  /** Nothing is begun any more, and what fails from now on failed for that. */
  close(): void {
    this.#closed ??= new ClosedError(`${capital(this.#name)} is closed.`);
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
    if (this.#context.health.state !== 'degraded') return;
    throw new CoordinationUnavailableError(
      `Could not ${what}: there has been no contact with etcd for longer than a lease lasts. Nothing was sent, and nothing is queued.`,
    );
  }

  /** Throws TooStaleError for what is older than that. */
  expectFresh(replica: Replica, maxStalenessMs: number): void {
    const ageMs = replica.ageMs();
    if (ageMs <= maxStalenessMs) return;
    throw new TooStaleError(
      `What ${this.#name} knows was last proved ${Math.round(ageMs)} ms ago, and ${maxStalenessMs} is the limit.`,
    );
  }

  async #translated<T>(what: string, { why }: CallOptions, act: () => Promise<T>): Promise<T> {
    this.expectOpen();
    try {
      return await act();
    } catch (error) {
      if (error instanceof StoreError && error.reason === 'closed') this.expectOpen();
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, `${what} in ${this.#name}`);
      const reason = why?.();
      throw new CoordinationUnavailableError(
        `Could not ${what} in ${this.#name} in time: ${reason?.message ?? 'etcd did not answer'}.`,
        { cause: reason ?? error },
      );
    }
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
