import { LRUCache } from 'lru-cache';
import { elapsedMs, type Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Lookout } from './lookout.ts';
import type { Ticket } from './ticket.ts';

/** So many keys rest at most, over all queues of a coordinator; the one that has rested for longest has to leave for another. */
const MOST_RESTING = 1_000;

/**
 * A ticket that rests between its tenures: nobody here wants it at the moment, and it is kept for whoever does next. It has to leave when
 * its time is up, when another process asks for the queue, and when too many rest.
 *
 * Built to be rested and taken up again a hundred thousand times a second: the timer and the watch are the ticket's, not the rest's.
 */
export class Linger {
  readonly ticket: Ticket;
  readonly #runtime: Runtime;
  readonly #resting: LRUCache<Linger, Linger>;
  readonly #leave: () => void;
  #isAsked = false;
  #restsSince: Instant | undefined;
  #lingerMs = 0;
  #cancel: (() => void) | undefined;

  /** `leave` is called once, while it rests. */
  constructor(
    runtime: Runtime,
    resting: LRUCache<Linger, Linger>,
    ticket: Ticket,
    lookout: Lookout,
    leave: () => void,
  ) {
    this.#runtime = runtime;
    this.#resting = resting;
    this.ticket = ticket;
    this.#leave = leave;
    const over = new AbortController();
    void ticket.over.then(() => {
      over.abort();
      this.#end();
    });
    lookout.untilAsked(ticket.life, ticket.epoch, over.signal).then(
      () => this.#ask(),
      () => this.#ask(),
    );
  }

  /** Another process wants the queue, or nobody can tell whether one does. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  get rests(): boolean {
    return this.#restsSince !== undefined;
  }

  rest(lingerMs: number): void {
    this.#restsSince = this.#runtime.clock.now();
    this.#lingerMs = lingerMs;
    this.#cancel ??= this.#runtime.clock.schedule(lingerMs, () => this.#look());
    this.#resting.set(this, this);
  }

  /** It has a holder again. It stays among the resting, where it has its place when it rests again. */
  takeUp(): void {
    this.#restsSince = undefined;
  }

  /** Sends it away, if it rests. */
  dismiss(): void {
    if (!this.rests) return;
    this.takeUp();
    this.#leave();
  }

  #ask(): void {
    this.#isAsked = true;
    this.dismiss();
  }

  /** The timer may be from before the last tenure. */
  #look(): void {
    this.#cancel = undefined;
    if (this.#restsSince === undefined) return;
    const leftMs = this.#lingerMs - elapsedMs(this.#restsSince, this.#runtime.clock.now());
    if (leftMs <= 0) this.dismiss();
    else this.#cancel = this.#runtime.clock.schedule(Math.ceil(leftMs), () => this.#look());
  }

  #end(): void {
    this.takeUp();
    this.#resting.delete(this);
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** What rests of one coordinator. */
export class Lingering {
  readonly #runtime: Runtime;
  readonly #resting: LRUCache<Linger, Linger> = new LRUCache<Linger, Linger>({
    max: MOST_RESTING,
    /* After, since whoever goes takes itself out of the cache. */
    disposeAfter: (linger, _, reason) => {
      if (reason === 'evict') linger.dismiss();
    },
  });

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** For a ticket that may rest from now on. */
  begin(ticket: Ticket, lookout: Lookout, leave: () => void): Linger {
    return new Linger(this.#runtime, this.#resting, ticket, lookout, leave);
  }
}
