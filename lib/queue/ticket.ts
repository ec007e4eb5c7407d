/**
 * A ticket: one key of ours in a wait queue, from the moment it is sent until nothing of it can be left in etcd.
 *
 * Guarantees. At most one ticket of a queue owns it at any revision: the one with the smallest create revision. A ticket that was
 * left is gone for good, also when one of its requests is applied long after everybody has given up on it: *absence is not an
 * answer*. Order comes from create revisions, never from a clock.
 *
 * Not guaranteed. That an owner knows in time that it is not one any more: that is the session's validity, and a guard's proof.
 *
 * Protocol, in the layout of etcd's Go concurrency package, with which it contends.
 * 1. enqueue: one transaction: if the session's generation is the one we know and our key is not there, put it. It also answers the
 *    two newest keys of the queue, so that the predecessor costs no further call, and the epoch. Else it tells why: our own key is
 *    there, from an attempt that was not answered, or the generation has moved.
 * 2. wait: watch the predecessor, from the revision after the answer that named it; when it is gone, look again. Predecessors only
 *    become fewer, so any answer at or above our own create revision is good enough. One watcher per key: no herd.
 * 3. own: nobody is before us. The token is made of the epoch and our create revision.
 * 4. leave: if the key is ours, delete it. If an enqueue was ever left unanswered, it could still be applied after that; so then the
 *    same transaction rewrites the session key, and the late enqueue fails its compare of the generation. If that cannot be had,
 *    the session is given up, which takes the lease away under whatever is applied late.
 */
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { saysLeaseIsGone, type KeyOwner, type Session } from '../session/session.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { Compare, KeyValue, Operation, Store, TransactionResponse } from '../store/store.ts';
import { untilDeleted } from '../store/until-deleted.ts';
import { readEpoch } from './epoch.ts';
import { packToken } from './token.ts';

/** What a ticket needs of its coordinator. */
export interface TicketContext {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly repetition: Repetition;
  readonly epochKey: string;
  /** A call failed: find out whether there is contact, and wait until there is. Ends when the session does. */
  readonly contact: (session: Session, error: StoreError) => Promise<void>;
  readonly giveUp: (session: Session, reason: Error) => void;
}

/** How a ticket came to its end: it was deleted, or it was not there any more although nobody of ours had deleted it. */
export type Departure = 'left' | 'missing';

/** What a ticket is to know of its queue. */
export interface TicketQueue {
  readonly prefix: string;
  readonly value: string;
  readonly watchAfterMs: number;
}

export class Ticket implements KeyOwner {
  readonly key: string;
  readonly session: Session;
  readonly #context: TicketContext;
  readonly #prefix: string;
  readonly #value: string;
  readonly #watchAfterMs: number;
  readonly #gone = new AbortController();
  #createRevision = 0n;
  #epoch = 0;
  #predecessor: KeyValue | undefined;
  /** The revision of the answer that named the predecessor. */
  #seenAt = 0n;
  #owned = false;
  #sent = false;
  /** An attempt to enqueue was not answered. It may be applied at any time while the generation stands. */
  #unanswered = false;
  /** One was refused for want of space, which may be the one that etcd applies nevertheless. */
  #isInDoubt = false;
  #running: Promise<unknown> = Promise.resolve();
  #departure: Promise<Departure> | undefined;

  constructor(context: TicketContext, session: Session, queue: TicketQueue) {
    this.#context = context;
    this.session = session;
    const { prefix, value, watchAfterMs } = queue;
    this.#prefix = prefix;
    this.#value = value;
    this.#watchAfterMs = watchAfterMs;
    const nonce = context.runtime.random.bits64().toString(36);
    this.key = `${prefix}${session.lease.toString(16)}-${nonce}`;
    session.own(this);
  }

  /** The key's create revision while it is expected to stay. */
  get createRevision(): bigint | undefined {
    return this.#createRevision === 0n || this.#departure !== undefined ? undefined : this.#createRevision;
  }

  /** Somebody is known to have been before us. */
  get isContended(): boolean {
    return this.#predecessor !== undefined;
  }

  /** Aborts when the key, or its session, is gone, with the error as its reason. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  lost(reason: Error): void {
    this.session.disown(this);
    this.#gone.abort(reason);
  }

  /** 1. Resolves once the key stands in the queue. The signal ends the repeating, not the attempt that is under way. */
  enqueue(signal: AbortSignal): Promise<void> {
    return this.#alone(() =>
      this.#repeat(signal, async () => {
        const answer = await this.#send(
          [{ key: this.key, target: 'create', is: '=', than: 0n }],
          [{ type: 'range', prefix: this.#prefix, sort: { by: 'create', order: 'descend' }, limit: 2, keysOnly: true }],
        );
        if (answer.succeeded) {
          const [newest] = entriesOf(answer.responses[2]).filter(({ key }) => key !== this.key);
          this.#predecessor = newest;
          this.#seenAt = answer.revision;
        } else {
          await this.#lookAgain();
        }
      }),
    );
  }

  /** 1, but only if the queue is empty: then the ticket owns it. `false`: somebody has it. Leaves no key behind. */
  enqueueIfFree(signal: AbortSignal): Promise<boolean> {
    return this.#alone(() =>
      this.#repeat(signal, async () => {
        await this.#send([{ prefix: this.#prefix, target: 'create', is: '=', than: 0n }], []);
        /* The key was put only into an empty queue, so if it stands there it has been the first since. */
        this.#owned = this.#createRevision > 0n;
        return this.#owned;
      }),
    );
  }

  /** 2. Resolves once nobody is before us. Rejects if the key went away meanwhile. */
  async turn(signal: AbortSignal): Promise<void> {
    while (this.#predecessor !== undefined) {
      await this.#untilGone(this.#predecessor, signal);
      await this.#alone(() => this.#repeat(signal, () => this.#lookAgain()));
    }
    this.#owned = true;
  }

  /** 3. The token, once the ticket owns the queue. Watches the own key from now on: to be called once. */
  token(): bigint {
    if (!this.#owned) throw new Error(`${this.key} does not own its queue`);
    void this.#watchOwnKey();
    return packToken({ epoch: this.#epoch, revision: this.#createRevision, handoff: 0 });
  }

  /**
   * 4. Resolves once nothing of this ticket is left or can come to be. Repeats for as long as the session lives; a lost session takes
   * the key with it. Idempotent, never rejects for want of contact, and not to be cancelled.
   */
  leave(): Promise<Departure> {
    this.#departure ??= this.#leave();
    return this.#departure;
  }

  async #leave(): Promise<Departure> {
    await this.#running.catch(() => {});
    if (this.signal.aborted) return 'missing';
    let departure: Departure = 'left';
    if (this.#unanswered) await this.#settle();
    else if (this.#sent && this.#createRevision > 0n) departure = await this.#delete();
    else if (this.#isInDoubt)
      await this.#repeatWhileAlive(() => this.#transact([], [{ type: 'delete', key: this.key }]));
    this.session.disown(this);
    this.#gone.abort(new Error('the ticket was left'));
    return departure;
  }

  async #delete(): Promise<Departure> {
    let mayBeDone = false;
    const than = this.#createRevision;
    const { succeeded } = await this.#repeatWhileAlive(async () => {
      const unsure = mayBeDone;
      mayBeDone = true;
      const answer = await this.#transact(
        [{ key: this.key, target: 'create', is: '=', than }],
        [{ type: 'delete', key: this.key }],
      );
      return { succeeded: answer.succeeded || unsure };
    });
    return succeeded ? 'left' : 'missing';
  }

  /** 4. The session key is compared by its existence alone: other tickets may be settled at the same time. */
  async #settle(): Promise<void> {
    const { session, key } = this;
    const { runtime, giveUp } = this.#context;
    const cancel = runtime.clock.schedule(session.ttlMs, () => {
      giveUp(session, new Error(`an unanswered request for ${key} could not be settled within a TTL`));
    });
    try {
      await this.#repeatWhileAlive(async () => {
        const answer = await this.#transact(
          [{ key: session.identity.key, target: 'create', is: '!=', than: 0n }],
          [
            { type: 'put', key: session.identity.key, value: session.identity.value, lease: session.lease },
            { type: 'delete', key },
          ],
        );
        /* Without its key the session is lost, and says so itself. */
        if (answer.succeeded) session.advance(answer.revision);
        return answer;
      });
    } finally {
      cancel();
    }
  }

  /** Sends an enqueue under `condition`, and reads what the answer tells about ourselves. */
  async #send(condition: readonly Compare[], look: readonly Operation[]): Promise<TransactionResponse> {
    const { session, key } = this;
    const { epochKey } = this.#context;
    const { generation } = session;
    this.#sent = true;
    let answer: TransactionResponse;
    try {
      answer = await this.#transact(
        [{ key: session.identity.key, target: 'mod', is: '=', than: generation }, ...condition],
        [{ type: 'put', key, value: this.#value, lease: session.lease }, { type: 'range', key: epochKey }, ...look],
        [
          { type: 'range', key },
          { type: 'range', key: epochKey },
          { type: 'range', key: session.identity.key },
        ],
      );
    } catch (error) {
      if (!(error instanceof StoreError) || error.outcome === 'unknown') this.#unanswered = true;
      /* It is done with, but the write by which etcd's quota is exceeded is applied and then refused. */
      if (error instanceof StoreError && error.reason === 'quota') this.#isInDoubt = true;
      if (saysLeaseIsGone(error)) session.lose(new Error('etcd answered that the lease is gone'));
      throw error;
    }
    /* Whatever else the answer says: a key that stands has to be known, or it could not be deleted. */
    const [first, epoch, sessionKey] = answer.responses;
    const [own] = entriesOf(first);
    if (answer.succeeded) this.#createRevision = answer.revision;
    else if (own !== undefined) this.#createRevision = own.createRevision;
    this.#epoch = readEpoch(epochKey, entriesOf(epoch)[0]);
    if (!answer.succeeded) {
      const found = entriesOf(sessionKey)[0]?.modRevision ?? 0n;
      if (found < generation) {
        session.lose(new Error('the session key is not in etcd any more, or an older one is'));
        this.signal.throwIfAborted();
      }
      if (own === undefined && found !== generation) {
        /* Refused for the generation alone, so not applied: sent again at once with the newer one. */
        session.advance(found);
        return this.#send(condition, look);
      }
    }
    return answer;
  }

  /** 2. One range: our own key and the one before it. */
  async #lookAgain(): Promise<void> {
    const { store, repetition } = this.#context;
    const range = await store.range(
      {
        prefix: this.#prefix,
        sort: { by: 'create', order: 'descend' },
        maxCreateRevision: this.#createRevision,
        limit: 2,
        keysOnly: true,
      },
      { timeoutMs: repetition.attemptTimeoutMs, signal: this.session.signal },
    );
    if (range.revision < this.#createRevision) {
      throw new StoreError('unreachable', 'transient', 'a member answered that lags behind our own key');
    }
    const [own, predecessor] = range.entries;
    if (own?.key !== this.key) {
      const reason = new Error(`${this.key} was removed by somebody else`);
      this.lost(reason);
      throw reason;
    }
    this.#predecessor = predecessor;
    this.#seenAt = range.revision;
  }

  /** 2 */
  #untilGone(predecessor: KeyValue, signal: AbortSignal): Promise<void> {
    const { runtime, store, repetition } = this.#context;
    const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
    return untilDeleted(runtime, store, predecessor, this.#seenAt, options);
  }

  async #watchOwnKey(): Promise<void> {
    const { runtime, store, repetition } = this.#context;
    const { key, signal } = this;
    const createRevision = this.#createRevision;
    try {
      if (this.#watchAfterMs > 0) await sleep(runtime.clock, this.#watchAfterMs, signal);
      const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
      await untilDeleted(runtime, store, { key, createRevision }, createRevision, options);
      if (this.#departure === undefined) this.lost(new Error('its key was deleted by somebody else'));
    } catch (error) {
      /* Without the watch the audit finds a deleted key. */
      if (signal.aborted) return;
      runtime.logger.warn('A held key cannot be watched', { event: 'queue.unwatched', key, error: String(error) });
    }
  }

  #transact(
    compare: readonly Compare[],
    then: readonly Operation[],
    otherwise: readonly Operation[] = [],
  ): Promise<TransactionResponse> {
    const { store, repetition } = this.#context;
    const options = { timeoutMs: repetition.attemptTimeoutMs, signal: this.session.signal };
    return store.transact({ compare, then, otherwise }, options);
  }

  #repeat<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    const { runtime, repetition, contact } = this.#context;
    return repeat(runtime, repetition, step, { signal, onFailure: (error) => contact(this.session, error) });
  }

  async #repeatWhileAlive(step: () => Promise<{ succeeded: boolean }>): Promise<{ succeeded: boolean }> {
    for (;;) {
      try {
        return await this.#repeat(this.session.signal, step);
      } catch (error) {
        if (this.session.signal.aborted || saysLeaseIsGone(error)) return { succeeded: true };
        /* Refused for good (a permission was revoked, say). The lease's end removes the key; until then, try now and then. */
        const { runtime, repetition } = this.#context;
        runtime.logger.warn('A key cannot be removed yet', {
          event: 'queue.stuck',
          key: this.key,
          error: String(error),
        });
        await sleep(runtime.clock, repetition.capMs, this.session.signal).catch(() => {});
      }
    }
  }

  /** Remembers what runs, so that leaving begins after its answer, which tells more than an abort would. */
  #alone<T>(act: () => Promise<T>): Promise<T> {
    const running = act();
    this.#running = running.catch(() => {});
    return running;
  }
}
