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
 *    newest keys of the queue, so that knowing who is before us costs no further call, and the epoch. Else it tells why: our own key
 *    is there, from an attempt that was not answered, or the generation has moved.
 * 2. wait: until all that were before us are gone. Predecessors only become fewer, so once we know all of them, their departures are
 *    all there is to know. In a long queue we do not: there we watch the last of them alone, so that nobody else is woken, and
 *    look again when it is gone; any answer at or above our own create revision is good enough.
 * 3. own: nobody is before us. The token is made of the epoch, our create revision, and how often the key has been passed on.
 * 4. pass on: the next one of this process gets the same key under the next handoff number, without a call. Bounded in number by the
 *    token and in time by the queue; never after somebody has been given a compare of the key, which the next one would pass, too.
 * 5. leave: see departure.ts.
 */
import { fullJitterMs } from '../resilience/backoff.ts';
import { elapsedMs, sleep, type Instant } from '../runtime/clock.ts';
import { queueSegment } from '../session/keyspace.ts';
import type { KeyOwner, Session } from '../session/session.ts';
import { repeat } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { KeyLife } from '../store/until-deleted.ts';
import { erase, settle, withdraw, type Departure } from './departure.ts';
import { Entry } from './entry.ts';
import { watchHeldKey } from './held-key.ts';
import { Slot } from './slots.ts';
import type { SlotOptions, TicketContext, TicketQueue } from './ticket-context.ts';
import { MAX_HANDOFF, packToken } from './token.ts';

/** Made once: an error looks at the stack, which would be a good part of a release. */
const HAS_LEFT = new Error('the ticket was left');

/** Whoever has the queue by a ticket. */
export interface Holder {
  /** The key, or the session, is gone. */
  lost(reason: Error): void;
}

export class Ticket implements KeyOwner {
  readonly queue: string;
  readonly key: string;
  readonly session: Session;
  readonly #context: TicketContext;
  readonly #value: string;
  readonly #watchAfterMs: number;
  /** Aborts when the key, or its session, is gone, when nobody wants it any more, and when it has left. */
  readonly #stop = new AbortController();
  #loss: Error | undefined;
  readonly #entry: Entry;
  readonly #slots: SlotOptions | undefined;
  #slot: Slot | undefined;
  #owned = false;
  #ownedAt: Instant | undefined;
  #grants = 0;
  #isPinned = false;
  #holder: Holder | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #departure: Promise<Departure> | undefined;
  #finish: () => void = () => {};
  /** Resolves when the ticket is lost, or begins to leave. */
  readonly over: Promise<void>;

  constructor(context: TicketContext, session: Session, queue: TicketQueue) {
    const { prefix, place = prefix } = queue;
    this.#context = context;
    this.session = session;
    this.queue = prefix;
    this.#slots = queue.slots;
    this.#value = queue.value;
    this.#watchAfterMs = queue.watchAfterMs;
    const { clock, random } = context.runtime;
    this.key = `${place}${queueSegment(session.lease, clock.now().wallMs, random.bits64())}`;
    this.#entry = new Entry(context, session, queue, this.key, () => this.#loseKey());
    this.over = new Promise((resolve) => {
      this.#finish = resolve;
    });
    session.own(this);
  }

  /** The key's create revision while it is expected to stay. */
  get createRevision(): bigint | undefined {
    return this.#entry.createRevision === 0n || this.#departure !== undefined ? undefined : this.#entry.createRevision;
  }

  /** The key in the life that this ticket gave it. */
  get life(): KeyLife {
    return { key: this.key, createRevision: this.#entry.createRevision };
  }

  /** The key whose create revision is in the token: that of the slot, where there are slots. */
  get fence(): KeyLife {
    return this.#slot?.life ?? this.life;
  }

  /** The number of the slot, where there are slots. */
  get slot(): number | undefined {
    return this.#slot?.index;
  }

  /** The operator's epoch, as the answer had it by which the key came to be. */
  get epoch(): number {
    return this.#entry.epoch;
  }

  /** Somebody is known to have been before us. */
  get isContended(): boolean {
    return !this.#entry.before.areFew || this.#slot?.areTaken === true;
  }

  /** Why the key, or its session, is gone, if it is. */
  get loss(): Error | undefined {
    return this.#loss;
  }

  lost(reason: Error): void {
    if (this.#loss !== undefined) return;
    this.#loss = reason;
    this.session.disown(this);
    this.#slot?.disown();
    this.#stop.abort(reason);
    this.#holder?.lost(reason);
    this.#finish();
  }

  /** Nobody wants it any more: the waiting rejects with the reason. It is to leave all the same. */
  abandon(reason: unknown): void {
    this.#stop.abort(reason);
  }

  /** 1. Resolves once the key stands in the queue. Abandoning it ends the repeating, not the attempt that is under way. */
  enqueue(): Promise<void> {
    return this.#alone(() => this.#repeat(() => this.#entry.enter()));
  }

  /** 1, but only if nobody is to be waited for: then the ticket owns the queue. `false`: somebody has it, and it is to leave. */
  async enqueueIfFree(): Promise<boolean> {
    await this.#alone(() => this.#repeat(() => this.#entry.enterIfFew()));
    if (this.#entry.createRevision === 0n) return false;
    return this.#own({ isPatient: false });
  }

  /** 2. Resolves once no more are before us than may be. Rejects if the key went away meanwhile, or if it was abandoned. */
  async turn(): Promise<void> {
    const { runtime, repetition } = this.#context;
    const { clock, random } = runtime;
    const { signal } = this.#stop;
    for (let breaks = 0; !this.#entry.before.areFew;) {
      const since = clock.now();
      const sighting = await this.#entry.before.untilFew(this.#context, this.life, signal);
      if (sighting === 'removed') this.#loseKey();
      if (sighting === 'first') break;
      /* At once after a break that follows no other soon: where watches cannot be kept at all, it would be polling. */
      if (sighting !== 'unknown' || elapsedMs(since, clock.now()) > repetition.capMs) breaks = 0;
      if (breaks > 0) {
        await sleep(
          clock,
          fullJitterMs(breaks - 1, repetition, () => random.uniform()),
          signal,
        );
      }
      breaks += 1;
      await this.#alone(() => this.#repeat(() => this.#entry.lookAgain()));
    }
    signal.throwIfAborted();
    await this.#own({ isPatient: true });
  }

  /** 3. Those before us only become fewer: from here on it is ours, but for the slot. `false`: none is free, and we are not to wait for one. */
  async #own({ isPatient }: { readonly isPatient: boolean }): Promise<boolean> {
    if (this.#slots !== undefined) {
      const { queue, key, session } = this;
      const place = { queue, key, session, createRevision: this.#entry.createRevision, value: this.#value };
      const slot = new Slot(this.#context, place, this.#slots, (reason) => this.lost(reason));
      this.#slot = slot;
      const claim = await this.#alone(() =>
        this.#repeat(async () => {
          const claim = await slot.claim();
          if (claim === 'taken' && isPatient)
            throw new StoreError('unreachable', 'transient', 'every slot is taken at the moment');
          return claim;
        }),
      );
      if (claim === 'taken') return false;
      if (claim === 'removed') this.#loseKey();
      this.#stop.signal.throwIfAborted();
    }
    this.#owned = true;
    return true;
  }

  /** 3. The token for the next holder, once the ticket owns the queue. It is told of a loss from now on, instead of the one before. */
  grant(holder: Holder): bigint {
    if (!this.#owned) throw new Error(`${this.key} does not own its queue`);
    const handoff = this.#grants;
    this.#grants += 1;
    if (handoff === 0) {
      this.#ownedAt = this.#context.runtime.clock.now();
      this.#watchOwnKeys();
    }
    this.#holder = holder;
    if (this.#loss !== undefined) holder.lost(this.#loss);
    return packToken({ epoch: this.#slot?.epoch ?? this.#entry.epoch, revision: this.fence.createRevision, handoff });
  }

  /** 4. Somebody outside has been given a compare of the key. */
  pin(): void {
    this.#isPinned = true;
  }

  /** 4. Whether the key may have another holder. It is to leave `forMs` after it was first owned; `undefined`: there is no hurry. */
  mayPassOn(forMs: number | undefined): boolean {
    const isGone = this.#loss !== undefined || this.#departure !== undefined;
    if (isGone || this.#isPinned || this.#grants > MAX_HANDOFF) return false;
    if (forMs === undefined || this.#ownedAt === undefined) return true;
    return elapsedMs(this.#ownedAt, this.#context.runtime.clock.now()) < forMs;
  }

  /**
   * 5. Resolves once nothing of this ticket is left or can come to be. Repeats for as long as the session lives; a lost session takes
   * the key with it. Idempotent, never rejects for want of contact, and not to be cancelled.
   */
  leave(): Promise<Departure> {
    this.#departure ??= this.#leave();
    this.#finish();
    return this.#departure;
  }

  async #leave(): Promise<Departure> {
    await this.#running.catch(() => {});
    /* One of two keys may be gone, and the other one would stand in somebody's way. */
    const isLost = this.#loss !== undefined;
    if (isLost && this.#slot === undefined) return 'missing';
    const place = this.#leavePlace();
    const slot = this.#slot?.leave(place);
    const departures = [isLost ? 'missing' : 'left', await place, await slot];
    this.session.disown(this);
    this.#stop.abort(HAS_LEFT);
    return departures.includes('missing') ? 'missing' : 'left';
  }

  async #leavePlace(): Promise<Departure> {
    if (this.#entry.isUnanswered) await settle(this.#context, this);
    else if (this.#entry.isSent && this.#entry.createRevision > 0n)
      return withdraw(this.#context, this, this.#entry.createRevision);
    else if (this.#entry.isInDoubt) await erase(this.#context, this);
    return 'left';
  }

  #loseKey(): never {
    const reason = new Error(`${this.key} was removed by somebody else`);
    this.lost(reason);
    throw reason;
  }

  #watchOwnKeys(): void {
    const options = { afterMs: this.#watchAfterMs, signal: this.#stop.signal };
    const onDeleted = (): void => {
      if (this.#departure === undefined) this.lost(new Error('its key was deleted by somebody else'));
    };
    void watchHeldKey(this.#context, this.life, options, onDeleted);
    if (this.#slot?.life !== undefined) void watchHeldKey(this.#context, this.#slot.life, options, onDeleted);
  }

  #repeat<T>(step: () => Promise<T>): Promise<T> {
    const { runtime, repetition, contact } = this.#context;
    const { signal } = this.#stop;
    return repeat(runtime, repetition, step, { signal, onFailure: (error) => contact(this.session, error) });
  }

  /** Remembers what runs, so that leaving begins after its answer, which tells more than an abort would. */
  #alone<T>(act: () => Promise<T>): Promise<T> {
    const running = act();
    this.#running = running.catch(() => {});
    return running;
  }
}
