import { expectSignal } from '../arguments.ts';
import { CoordinationUnavailableError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { DeadlineReached, underDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { asPublicError } from '../store/store-error.ts';
import type { KeyValue, RangeRequest, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';

/** What {@link Calls} need of their coordinator. */
export interface CallContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly health: Health;
  readonly repetition: Repetition;
  /** A whole call with its repeats, in milliseconds. */
  readonly deadlineMs: number;
}

/** Calls that ask etcd, or tell it something, once: each within its deadline, and with errors that its caller understands. */
export class Calls {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** Does `act` within the request's deadline; the last word is with it, since only it knows whether something was sent. */
  async within<T>(what: string, caller: AbortSignal | undefined, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { runtime, deadlineMs } = this.#context;
    try {
      return await underDeadline(runtime.clock, deadlineMs, expectSignal(caller), act);
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, what);
      throw new CoordinationUnavailableError(`Could not ${what}: etcd did not answer within ${deadlineMs} ms.`, {
        cause: error,
      });
    }
  }

  /** Ranges at one revision, through raft; one list of entries for each. */
  async read(
    signal: AbortSignal,
    ...ranges: readonly [RangeRequest, ...RangeRequest[]]
  ): Promise<readonly (readonly KeyValue[])[]> {
    const { runtime, store, repetition } = this.#context;
    const call = { timeoutMs: repetition.attemptTimeoutMs, signal };
    const read = () => store.transact(rangeThroughRaft(...ranges), call);
    const { responses } = await repeat(runtime, repetition, read, { signal });
    return responses.map(entriesOf);
  }

  /** Nothing is queued while there is no contact. */
  expectContact(what: string): void {
    this.#context.health.expectContact(what);
  }
}
