/**
 * The numbered slots of a queue that several may have at once. Whoever is far enough to the front claims one that is free: so each has a number
 * that nobody else has meanwhile, and tokens that rise with each holder of that number.
 *
 * 1. claim: one transaction: if our place in the queue stands as it was written last, and the slot's key is not there, put that, and write
 *    our place anew. Else it answers which are taken. As many may be in front as there are slots, so one is free, or about to be.
 * 2. An attempt that was not answered and is applied late finds our place written anew by the next one, or gone, and comes to nothing.
 *    One that was applied is recognised by what stands in the slot: the key of our place.
 * 3. leave: the slot goes with the place. Where the last attempt was not answered it is looked for once the place is gone, after which
 *    nothing can be claimed for it any more.
 */
import type { KeyOwner, Session } from '../session/session.ts';
import { entriesOf } from '../store/entries.ts';
import type { KeyValue, TransactionResponse } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import type { KeyLife } from '../store/until-deleted.ts';
import { whileAlive, withdraw, type Departure } from './departure.ts';
import { readEpoch } from './epoch.ts';
import type { SlotOptions, TicketContext } from './ticket-context.ts';

/** Our place in the queue. */
export interface Place extends KeyLife {
  readonly queue: string;
  readonly session: Session;
  readonly value: string;
}

/** The slot of one place. */
export class Slot {
  readonly #context: TicketContext;
  readonly #place: Place;
  readonly #options: SlotOptions;
  readonly #lost: (reason: Error) => void;
  /** Those that an attempt may have put: the audit of the session deletes what nobody owns. */
  readonly #owned = new Map<string, KeyOwner>();
  #taken: readonly KeyValue[] = [];
  /** As the place was written last. */
  #modRevision: bigint;
  /** An attempt was not answered, and none was successful since: it may be applied while our place stands. */
  #isUnsure = false;
  #life: KeyLife | undefined;
  #epoch = 0;
  #areTaken = false;

  constructor(context: TicketContext, place: Place, options: SlotOptions, lost: (reason: Error) => void) {
    this.#context = context;
    this.#place = place;
    this.#options = options;
    this.#lost = lost;
    this.#modRevision = place.createRevision;
  }

  /** Its key, once it is claimed. */
  get life(): KeyLife | undefined {
    return this.#life;
  }

  /** From 0; once it is claimed. */
  get index(): number | undefined {
    return this.#life === undefined ? undefined : Number(this.#life.key.slice(this.#options.prefix.length));
  }

  /** The operator's epoch, as the answer had it by which it was claimed. */
  get epoch(): number {
    return this.#epoch;
  }

  /** As far as is known somebody has each of them. */
  get areTaken(): boolean {
    return this.#areTaken;
  }

  /**
   * 1. Claims one that is not known to be taken. `removed`: our place in the queue is gone; `taken`: all are at the moment, since somebody has
   * left the queue and not its slot yet, or believes that there are more of them. Rejects with a StoreError.
   */
  async claim(): Promise<'claimed' | 'removed' | 'taken'> {
    const { key: place, createRevision } = this.#place;
    for (;;) {
      const key = this.#free();
      this.#areTaken = key === undefined;
      if (key === undefined) return 'taken';
      this.#own(key);
      const { succeeded, revision, responses } = await this.#attempt(key).catch((error: unknown) => {
        this.#isUnsure = true;
        throw error;
      });
      const [epoch] = entriesOf(responses[2]);
      if (succeeded) return this.#have({ key, createRevision: revision }, epoch);
      const [own] = entriesOf(responses[0]);
      if (own?.createRevision !== createRevision) return 'removed';
      this.#taken = entriesOf(responses[1]);
      this.#modRevision = own.modRevision;
      const ours = this.#taken.find((slot) => slot.value === place);
      if (ours !== undefined) return this.#have({ key: ours.key, createRevision: ours.createRevision }, epoch);
      if (!this.#isUnsure) this.#disownBut(undefined);
    }
  }

  /** 3. `placeGone` resolves once the place is not in the queue any more. Never rejects for want of contact. */
  async leave(placeGone: Promise<Departure>): Promise<Departure> {
    const { queue, session, key: place } = this.#place;
    /* At once: whoever of this process comes next may try it, and is answered whether it is free. */
    if (this.#life !== undefined) this.#disownBut(undefined);
    let departure =
      this.#life === undefined
        ? undefined
        : withdraw(this.#context, { queue, session, value: place, ...this.#life }, this.#life.createRevision);
    await placeGone;
    if (this.#life === undefined && this.#isUnsure) {
      const ours = await this.#find(place);
      if (ours !== undefined)
        departure = withdraw(this.#context, { queue, session, value: place, key: ours.key }, ours.createRevision);
    }
    const how = await departure;
    this.#disownBut(undefined);
    return how ?? 'left';
  }

  disown(): void {
    this.#disownBut(undefined);
  }

  #attempt(key: string): Promise<TransactionResponse> {
    const { key: place, createRevision, value, session } = this.#place;
    const { store, repetition } = this.#context;
    return store.transact(
      {
        compare: [
          { key: place, target: 'create', is: '=', than: createRevision },
          { key: place, target: 'mod', is: '=', than: this.#modRevision },
          { key, target: 'create', is: '=', than: 0n },
        ],
        then: [
          { type: 'put', key: place, value, lease: session.lease },
          { type: 'put', key, value: place, lease: session.lease },
          { type: 'range', key: this.#context.epochKey },
        ],
        otherwise: [
          { type: 'range', key: place },
          { type: 'range', prefix: this.#options.prefix },
          { type: 'range', key: this.#context.epochKey },
        ],
      },
      { timeoutMs: repetition.attemptTimeoutMs, signal: session.signal },
    );
  }

  #free(): string | undefined {
    const { prefix, count } = this.#options;
    const taken = new Set(this.#taken.map(({ key }) => key));
    for (let index = 0; index < count; index += 1) {
      const key = `${prefix}${index}`;
      /* Nor one that another ticket of this process has, or may have. */
      const isOthers = this.#place.session.owners.has(key) && !this.#owned.has(key);
      if (!taken.has(key) && !isOthers) return key;
    }
    /* What is known is to be asked for anew. */
    this.#taken = [];
    return undefined;
  }

  #have(life: KeyLife, epoch: KeyValue | undefined): 'claimed' {
    this.#life = life;
    this.#isUnsure = false;
    this.#disownBut(life.key);
    /* Last, since it throws for what is none: a slot that stands has to be known, or it could not be given back. */
    this.#epoch = readEpoch(this.#context.epochKey, epoch);
    return 'claimed';
  }

  /** Before an attempt is sent, since it can be applied before it is answered. */
  #own(key: string): void {
    if (this.#owned.has(key)) return;
    const expected = (): bigint | undefined => (this.#life?.key === key ? this.#life.createRevision : undefined);
    const owner: KeyOwner = {
      key,
      get createRevision() {
        return expected();
      },
      lost: (reason) => this.#lost(reason),
    };
    this.#owned.set(key, owner);
    this.#place.session.own(owner);
  }

  #disownBut(kept: string | undefined): void {
    for (const [key, owner] of this.#owned) {
      if (key === kept) continue;
      this.#owned.delete(key);
      this.#place.session.disown(owner);
    }
  }

  async #find(place: string): Promise<KeyValue | undefined> {
    const { store, repetition } = this.#context;
    let found: KeyValue | undefined;
    await whileAlive(this.#context, this.#place, async () => {
      const call = { timeoutMs: repetition.attemptTimeoutMs, signal: this.#place.session.signal };
      const { responses } = await store.transact(rangeThroughRaft({ prefix: this.#options.prefix }), call);
      found = entriesOf(responses[0]).find(({ value }) => value === place);
      return { succeeded: true };
    });
    return found;
  }
}
