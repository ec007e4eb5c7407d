/**
 * How a ticket's key comes to stand in its queue, and what the answers tell of it: steps 1 and 2 of ticket.ts as they travel, each an attempt that
 * the ticket repeats.
 */
import { saysLeaseIsGone, type Session } from '../session/session.ts';
import { entriesOf } from '../store/entries.ts';
import { StoreError } from '../store/store-error.ts';
import type { Compare, Transaction, TransactionResponse } from '../store/store.ts';
import { readEpoch } from './epoch.ts';
import type { QueueTransaction } from './group-commit.ts';
import { newest, Predecessors, type Rivals } from './predecessors.ts';
import type { TicketContext, TicketQueue } from './ticket-context.ts';

export class Entry {
  readonly key: string;
  readonly before: Predecessors;
  readonly #context: TicketContext;
  readonly #session: Session;
  readonly #queue: TicketQueue;
  readonly #rivals: Rivals;
  readonly #removed: () => never;
  #createRevision = 0n;
  #epoch = 0;
  #isSent = false;
  #isUnanswered = false;
  #isInDoubt = false;

  /** `removed` is called when our key is found to be gone. */
  constructor(context: TicketContext, session: Session, queue: TicketQueue, key: string, removed: () => never) {
    const { prefix, rivals = prefix, beside = 0 } = queue;
    this.key = key;
    this.before = new Predecessors(prefix, beside);
    this.#context = context;
    this.#session = session;
    this.#queue = queue;
    this.#rivals = { prefix: rivals, beside };
    this.#removed = removed;
  }

  /** `0n`: it is not known to stand. */
  get createRevision(): bigint {
    return this.#createRevision;
  }

  /** The operator's epoch, as the answer had it by which the key came to be. */
  get epoch(): number {
    return this.#epoch;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  /** An attempt was not answered. It may be applied at any time while the generation stands. */
  get isUnanswered(): boolean {
    return this.#isUnanswered;
  }

  /** One was refused for want of space, which may be the one that etcd applies nevertheless. */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** 1. */
  async enter(): Promise<void> {
    const answer = await this.#send('enter', [{ key: this.key, target: 'create', is: '=', than: 0n }], {
      then: [{ type: 'range', ...newest(this.#rivals) }],
      otherwise: [],
    });
    const [, , queue] = answer.responses;
    if (answer.succeeded && queue?.type === 'range')
      this.before.see(queue, this.key, { revision: answer.revision, epoch: this.#epoch });
    else await this.lookAgain();
  }

  /**
   * 1. The key is put only where no more stand than may: else it would be in the way of others for as long as it takes to leave, and of those who
   * only try nobody would ever get in. None can be counted by a compare, so where some may stay they are counted first, and then it
   * is put if nobody has come since.
   */
  async enterIfFew(): Promise<void> {
    const { key } = this;
    const { prefix, beside } = this.#rivals;
    const count = beside > 0 ? [{ type: 'range', ...newest(this.#rivals), limit: beside + 1 } as const] : [];
    for (let seen = 0n; ;) {
      const answer = await this.#send(
        'enter-if-few',
        [
          { prefix, target: 'create', is: '<', than: seen + 1n },
          { key, target: 'create', is: '=', than: 0n },
        ],
        { then: [], otherwise: count },
      );
      const range = answer.responses.at(-1);
      if (this.#createRevision > 0n || count.length === 0 || range?.type !== 'range') return;
      if (range.entries.length > beside) return;
      seen = answer.revision;
    }
  }

  /** 2. One call: our own key and those before it. */
  async lookAgain(): Promise<void> {
    const { store, repetition, epochKey } = this.#context;
    const options = { timeoutMs: repetition.attemptTimeoutMs, signal: this.#session.signal };
    const { key } = this;
    const before = newest(this.#rivals, this.#createRevision);
    const { revision, responses } = await store.transact(
      {
        compare: [],
        then: [
          { type: 'range', key, keysOnly: true },
          { type: 'range', ...before },
          { type: 'range', key: epochKey },
        ],
      },
      options,
    );
    if (revision < this.#createRevision) {
      throw new StoreError('unreachable', 'transient', 'a member answered that lags behind our own key');
    }
    const [own, range, epoch] = responses;
    if (entriesOf(own)[0]?.createRevision !== this.#createRevision) this.#removed();
    if (range?.type !== 'range') return;
    /* Of this answer; the token keeps the epoch with which the key came to be. */
    this.before.see(range, key, { revision, epoch: readEpoch(epochKey, entriesOf(epoch)[0]) });
  }

  /** Sends an enqueue under `condition`, and reads what the answer tells about ourselves. */
  async #send(
    does: QueueTransaction['does'],
    condition: readonly Compare[],
    look: Pick<Required<Transaction>, 'then' | 'otherwise'>,
  ): Promise<TransactionResponse> {
    const { key } = this;
    const session = this.#session;
    const { prefix: queue, value } = this.#queue;
    const { epochKey, group } = this.#context;
    const { generation } = session;
    this.#isSent = true;
    let answer: TransactionResponse;
    try {
      answer = await group.transact(session, {
        queue,
        does,
        compare: [{ key: session.identity.key, target: 'mod', is: '=', than: generation }, ...condition],
        then: [{ type: 'put', key, value, lease: session.lease }, { type: 'range', key: epochKey }, ...look.then],
        otherwise: [
          { type: 'range', key },
          { type: 'range', key: epochKey },
          { type: 'range', key: session.identity.key },
          ...look.otherwise,
        ],
      });
    } catch (error) {
      if (!(error instanceof StoreError) || error.outcome === 'unknown') this.#isUnanswered = true;
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
        session.signal.throwIfAborted();
      }
      if (own === undefined && found !== generation) {
        /* Refused for the generation alone, so not applied: sent again at once with the newer one. */
        session.advance(found);
        return this.#send(does, condition, look);
      }
    }
    return answer;
  }
}
