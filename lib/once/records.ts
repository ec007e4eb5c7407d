import { OutcomeUnknownError } from '../errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Operations } from '../session/operations.ts';
import { saysLeaseIsGone } from '../session/session.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { Compare, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { unseal, type Result } from './record.ts';

/** What a record is written under. */
export interface RecordTerms {
  /** That the turn to write it still stands. */
  readonly standing: Compare;
  readonly ttlMs: number;
}

/** The records in etcd, each on a lease of its own, which nobody renews: they outlive the process that wrote them, and end. */
export class Records {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #operations: Operations;

  constructor(runtime: Runtime, store: Store, repetition: Repetition, operations: Operations) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#operations = operations;
  }

  /** What is on record, read through raft; nothing if there is none. Repeated until the signal aborts. */
  async find(key: string, signal: AbortSignal): Promise<Result | undefined> {
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    const look = () => this.#store.transact(rangeThroughRaft({ key }), call);
    const { responses } = await repeat(this.#runtime, this.#repetition, look, { signal });
    const [entry] = entriesOf(responses[0]);
    return entry && unseal(entry);
  }

  /**
   * Writes a record if the turn stands and there is none. Resolves to what then is on record, this one or that of another; to nothing if the
   * turn does not stand. Rejects as {@link Operations.commit} does.
   */
  async write(key: string, text: string, terms: RecordTerms, signal: AbortSignal): Promise<Result | undefined> {
    for (;;) {
      const lease = (this.#runtime.random.bits64() & (2n ** 63n - 1n)) | 1n;
      try {
        await this.#grant(lease, terms.ttlMs, signal);
        return await this.#put(key, text, lease, terms.standing, signal);
      } catch (error) {
        /* It may still be put, and needs its lease then. */
        if (error instanceof OutcomeUnknownError) throw error;
        if (!saysLeaseIsGone(error)) {
          this.#discard(lease);
          throw error;
        }
        /* It has ended before the record was on it: a short one, in bad times. */
      }
    }
  }

  async forget(key: string, signal: AbortSignal): Promise<void> {
    await this.#operations.commit({ compare: [], then: [{ type: 'delete', key }] }, signal);
  }

  async #put(
    key: string,
    text: string,
    lease: bigint,
    standing: Compare,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    const { succeeded, revision, responses } = await this.#operations.commit(
      {
        compare: [standing, { key, target: 'create', is: '=', than: 0n }],
        then: [{ type: 'put', key, value: text, lease }],
        otherwise: [{ type: 'range', key }],
      },
      signal,
    );
    if (succeeded) return unseal({ key, value: text, modRevision: revision });
    this.#discard(lease);
    const [another] = entriesOf(responses[0]);
    return another && unseal(another);
  }

  #grant(lease: bigint, ttlMs: number, signal: AbortSignal): Promise<void> {
    const grant = async (): Promise<void> => {
      try {
        await this.#store.grant(lease, ttlMs, { timeoutMs: this.#repetition.attemptTimeoutMs, signal });
      } catch (error) {
        /* Nobody else has drawn this number: it is an attempt of our own that was not answered. */
        if (!(error instanceof StoreError) || error.reason !== 'lease-exists') throw error;
      }
    };
    return repeat(this.#runtime, this.#repetition, grant, { signal });
  }

  /** In the background, and tried once: a lease with nothing on it costs little, and ends by itself. */
  #discard(lease: bigint): void {
    this.#store.revoke(lease, { timeoutMs: this.#repetition.attemptTimeoutMs }).catch(() => {});
  }
}
