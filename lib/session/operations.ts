/**
 * Writes that are done once, whatever happens to their answers.
 *
 * Protocol, one operation of a session at a time:
 * 1. commit: one transaction: if the session's generation is the one we know, and what the caller compares holds, do the writes and put
 *    the operation's ID under the session's marker.
 * 2. settle: if it was not answered, another transaction rewrites the session key, so that the first can never be applied from now on,
 *    and reads the marker. It bears our ID: it was applied, at the marker's revision. It does not: it was not, and will not be; so
 *    commit again.
 * 3. look: if it was refused for want of space, it may be the one write that etcd does and refuses; the marker tells as in 2, with nothing
 *    to rewrite.
 *
 * A compare-and-set that recognises its own success, and a plain put that is not repeated blindly, are the same thing here. If the
 * settling is not answered in time, nobody knows, and the caller is told just that.
 */
import { OutcomeUnknownError } from '../errors.ts';
import { abortable } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { OperationResponse, Store, Transaction } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { saysLeaseIsGone, type Session } from './session.ts';

/** What became of a transaction. It took effect as a whole at `revision`, or its compares did not hold and nothing was written. */
export interface Committed {
  readonly succeeded: boolean;
  readonly revision: bigint;
  /** Of the branch that was taken; none where the success was recognised only afterwards. */
  readonly responses: readonly OperationResponse[];
}

export class Operations {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #session: (signal: AbortSignal) => Promise<Session>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    session: (signal: AbortSignal) => Promise<Session>,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#session = session;
  }

  /**
   * Commits once. Rejects with a StoreError if nothing was written (also for a put on a lease of the caller's own that has ended), with
   * OutcomeUnknownError if that cannot be known within the signal's time, and with `signal.reason` if nothing was sent. What depends on the
   * session, a key on its lease for example, is made for each session on which it is tried.
   *
   * `isRepeatable`: to do it twice is to do it once, as with the delete of a key that nobody else has. It needs no marker then, so that deletes
   * go where etcd takes no puts for want of space.
   */
  commit(
    transaction: Transaction | ((session: Session) => Transaction),
    signal: AbortSignal,
    { isRepeatable = false }: { readonly isRepeatable?: boolean } = {},
  ): Promise<Committed> {
    const progress = { isSent: false };
    const make = typeof transaction === 'function' ? transaction : () => transaction;
    const turn = this.#last.then(() => this.#commit({ make, isRepeatable }, signal, progress));
    this.#last = turn.catch(() => {});
    return abortable(turn, signal).catch((error: unknown) => {
      /* The caller is answered in time; the settling goes on, since the next operation needs its outcome. */
      if (signal.aborted && progress.isSent) throw unknownOutcome('it took too long', signal.reason);
      throw error;
    });
  }

  async #commit(
    { make, isRepeatable }: { readonly make: (session: Session) => Transaction; readonly isRepeatable: boolean },
    signal: AbortSignal,
    progress: { isSent: boolean },
  ): Promise<Committed> {
    for (;;) {
      signal.throwIfAborted();
      const session = await this.#session(signal);
      const id = this.#runtime.random.bits64().toString(36);
      const transaction = make(session);
      try {
        progress.isSent = true;
        const answer = await this.#send(session, isRepeatable ? undefined : id, transaction);
        if (answer !== undefined) return answer;
        progress.isSent = false;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.reason === 'quota') {
          const applied = await this.#appliedThough(error, session, id);
          progress.isSent = false;
          if (applied === undefined) throw error;
          return applied;
        }
        if (error.outcome !== 'unknown') progress.isSent = false;
        /* Of two leases it cannot be the session's: its key stood, as was compared, and would have gone with it. */
        if (saysLeaseIsGone(error) && !usesAnotherLease(transaction, session)) {
          session.lose(new Error('etcd answered that the lease is gone'));
          continue;
        }
        if (error.outcome === 'permanent') throw error;
        session.probe();
        if (error.outcome === 'unknown') {
          const settled = await this.#settle(session, id, error);
          if (settled !== undefined) return settled;
          progress.isSent = false;
        } else {
          await this.#pause(signal);
        }
      }
    }
  }

  /** 1. Nothing: it was refused for an older generation alone. */
  async #send(session: Session, id: string | undefined, transaction: Transaction): Promise<Committed | undefined> {
    const { key } = session.identity;
    const { generation } = session;
    const marker =
      id === undefined ? [] : [{ type: 'put', key: markerOf(session), value: id, lease: session.lease } as const];
    const answer = await this.#store.transact(
      {
        compare: [{ key, target: 'mod', is: '=', than: generation }, ...transaction.compare],
        then: [...marker, ...transaction.then],
        otherwise: [{ type: 'range', key, keysOnly: true }, ...(transaction.otherwise ?? [])],
      },
      { timeoutMs: this.#repetition.attemptTimeoutMs, signal: session.signal },
    );
    const { succeeded, revision } = answer;
    if (succeeded) return { succeeded, revision, responses: answer.responses.slice(marker.length) };
    const [first, ...responses] = answer.responses;
    const found = entriesOf(first)[0]?.modRevision ?? 0n;
    if (found < generation) session.lose(new Error('the session key is not in etcd any more, or an older one is'));
    if (found !== generation) {
      session.advance(found);
      return undefined;
    }
    return { succeeded, revision, responses };
  }

  /**
   * 2. Nothing: it was not applied and never will be. Goes on whatever has become of the caller, since the next operation must not be
   * overtaken by what this one has left behind, and also where it is refused: somebody may mend that, and the write is on its way all the
   * same. What cannot be settled within a TTL costs the session: its lease's end does it.
   */
  async #settle(session: Session, id: string, cause: StoreError): Promise<Committed | undefined> {
    const { key, value } = session.identity;
    const settle = () => {
      session.signal.throwIfAborted();
      return this.#store.transact(
        {
          compare: [{ key, target: 'create', is: '!=', than: 0n }],
          then: [
            { type: 'put', key, value, lease: session.lease },
            { type: 'range', key: markerOf(session) },
          ],
        },
        { timeoutMs: this.#repetition.attemptTimeoutMs, signal: session.signal },
      );
    };
    const cancel = this.#runtime.clock.schedule(session.ttlMs, () => {
      session.lose(new Error('an unanswered write could not be settled within a TTL'));
    });
    try {
      const { succeeded, revision, responses } = await this.#untilAnswered(session, settle);
      if (!succeeded) throw new StoreError('lease-not-found', 'permanent', 'the session key is gone');
      session.advance(revision);
      const [marker] = entriesOf(responses[1]);
      return marker?.value === id ? { succeeded: true, revision: marker.modRevision, responses: [] } : undefined;
    } catch (error) {
      throw unknownOutcome(cause.message, error);
    } finally {
      cancel();
    }
  }

  async #untilAnswered<T>({ signal }: Session, step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await repeat(this.#runtime, this.#repetition, step, { signal });
      } catch (error) {
        if (signal.aborted || saysLeaseIsGone(error)) throw error;
        await sleep(this.#runtime.clock, this.#repetition.capMs, signal);
      }
    }
  }

  /**
   * 3. The write by which etcd's quota is exceeded is applied and then refused (etcd: `quotaApplierV3`), unlike those after it. Either way it
   * is done with, so its marker tells. Reads go on without space, and so they do through raft.
   */
  async #appliedThough(refusal: StoreError, session: Session, id: string): Promise<Committed | undefined> {
    const read = () => {
      session.signal.throwIfAborted();
      const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal: session.signal };
      return this.#store.transact(rangeThroughRaft({ key: markerOf(session) }), call);
    };
    try {
      const { responses } = await repeat(this.#runtime, this.#repetition, read, { signal: session.signal });
      const [marker] = entriesOf(responses[0]);
      return marker?.value === id ? { succeeded: true, revision: marker.modRevision, responses: [] } : undefined;
    } catch (error) {
      throw unknownOutcome(refusal.message, error);
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#runtime;
    return sleep(clock, this.#repetition.baseMs * (1 + random.uniform()), signal);
  }
}

function unknownOutcome(why: string, cause: unknown): OutcomeUnknownError {
  return new OutcomeUnknownError(
    `A write was sent and no answer came (${why}). It may have been applied, and may still be applied.`,
    { cause },
  );
}

/** Whether it puts something on a lease of the caller's own. */
function usesAnotherLease({ then }: Transaction, { lease }: Session): boolean {
  return then.some((operation) => operation.type === 'put' && (operation.lease ?? lease) !== lease);
}

/** One marker a session: operations take turns, and each one's ID is there until the next one's. */
function markerOf(session: Session): string {
  return `${session.identity.key}/operation`;
}
