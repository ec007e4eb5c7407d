/**
 * A ticket that has its queue: the tenures of this process on one key, one after the other, until it leaves.
 *
 * *Handoff*: at a release the next one in line here gets the same key, without a call, for as long as it has not been here for
 * {@link LineIdentity.handoffMs}; then it leaves, in one transaction with the enqueue of the next, so that other processes have their
 * turn. *Linger*: where nobody is in line, it rests for the next one to come, until its time is up or another process asks for it.
 * Neither happens without contact to etcd. See docs/adr/0015-handoff-and-linger.md.
 */
import type { Health } from '../health/health.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Session } from '../session/session.ts';
import type { Departure } from './departure.ts';
import type { Linger, Lingering } from './lingering.ts';
import { Tenure } from './tenure.ts';
import type { TicketContext, TicketQueue } from './ticket-context.ts';
import type { Ticket } from './ticket.ts';

/** What the lines of one coordinator share. */
export interface QueueContext extends TicketContext {
  readonly keyspace: Keyspace;
  readonly health: Health;
  readonly session: (signal: AbortSignal) => Promise<Session>;
  /** The session, if there is a valid one now. */
  readonly currentSession: () => Session | undefined;
  readonly lingering: Lingering;
  /** Counts a tenure among those that a closing coordinator waits for. */
  readonly admit: (tenure: Tenure) => void;
  /** It is over. */
  readonly dismiss: (tenure: Tenure) => void;
  /** Work that goes on after its caller was answered; closing waits for it, too. */
  readonly inBackground: (work: Promise<unknown>) => void;
}

/** What tells queues apart, and how their errors name them. */
export interface LineIdentity extends TicketQueue {
  /** For error messages: `lock "invoice:42"`. */
  readonly name: string;
  /**
   * Several may have it at once, also in this process: so many of it stand in the queue at a time, each with a key of its own.
   * @default 1, and one key for all of this process, which is passed on
   */
  readonly places?: number | undefined;
  /** Whoever has it is expected to give it up before long, and is warned of otherwise: not so a leader. */
  readonly isForShort: boolean;
  /** For how long a key may be passed on in this process, in milliseconds; 0: never. */
  readonly handoffMs: number;
  readonly lossOf: (reason: Error) => Error;
  readonly timeoutOf: (waitedMs: number) => Error;
}

/** What may become of a key after the tenure of whoever asks. */
export interface Keeping {
  /**
   * It may be passed on in this process, to and from it.
   * @default true
   */
  readonly handoff?: boolean | undefined;
  /**
   * For how long it is kept for the next one of this process where nobody is in line, in milliseconds.
   * @default 0
   */
  readonly lingerMs?: number | undefined;
}

/** Somebody in line. */
export interface Claimant {
  readonly keeping: Keeping;
  readonly grant: (tenure: Tenure) => void;
}

const LEFT: Promise<Departure> = Promise.resolve('left');

export class Custody {
  readonly #context: QueueContext;
  readonly #identity: LineIdentity;
  readonly #ticket: Ticket;
  readonly #waiters: ReadonlySet<Claimant>;
  #tenure: Tenure | undefined;
  #linger: Linger | undefined;
  #isClosed = false;

  /** `waiters` are those in line, in order, at any time. */
  constructor(context: QueueContext, identity: LineIdentity, ticket: Ticket, waiters: ReadonlySet<Claimant>) {
    this.#context = context;
    this.#identity = identity;
    this.#ticket = ticket;
    this.#waiters = waiters;
  }

  /** The one under way; none while it rests, and on its way out. */
  get tenure(): Tenure | undefined {
    return this.#tenure;
  }

  grant(keeping: Keeping): Tenure {
    const { runtime, admit } = this.#context;
    const tenure = new Tenure(runtime, this.#ticket, this.#identity.lossOf, (ended) => this.#end(ended, keeping));
    this.#tenure = tenure;
    admit(tenure);
    return tenure;
  }

  /** A tenure of what rests, for whoever comes now. If that cannot be, it leaves, and who comes queues behind it. */
  takeUp(keeping: Keeping): Tenure | undefined {
    const linger = this.#linger;
    if (linger?.rests !== true) return undefined;
    if (linger.isAsked || !this.#mayPassOn(keeping, undefined)) {
      linger.dismiss();
      return undefined;
    }
    linger.takeUp();
    return this.grant(keeping);
  }

  /** Nothing is passed on any more, and what rests leaves. */
  close(): void {
    this.#isClosed = true;
    this.#linger?.dismiss();
  }

  /** A tenure is over: the key goes on to the next one in here, rests for a while, or leaves the queue. */
  #end(tenure: Tenure, keeping: Keeping): Promise<Departure> {
    this.#context.dismiss(tenure);
    this.#tenure = undefined;
    const { lingerMs = 0 } = keeping;
    const [next] = this.#waiters;
    if (next !== undefined) {
      /* What lingers knows that nobody else waits. */
      const isUnasked = this.#linger !== undefined && !this.#linger.isAsked;
      const inTime = this.#mayPassOn(keeping, isUnasked ? undefined : this.#identity.handoffMs);
      if (inTime && next.keeping.handoff !== false) {
        next.grant(this.grant(next.keeping));
        return LEFT;
      }
    } else if (lingerMs > 0 && this.#linger?.isAsked !== true && this.#mayPassOn(keeping, undefined)) {
      this.#rest(lingerMs);
      return LEFT;
    }
    return this.#leave();
  }

  #rest(lingerMs: number): void {
    const { lingering, lookout } = this.#context;
    this.#linger ??= lingering.begin(this.#ticket, lookout(this.#ticket.queue), () => void this.#leave());
    this.#linger.rest(lingerMs);
  }

  /** `withinMs`: since the key was first owned; `undefined`: there is no hurry. */
  #mayPassOn({ handoff = true }: Keeping, withinMs: number | undefined): boolean {
    return (
      handoff &&
      !this.#isClosed &&
      this.#identity.handoffMs > 0 &&
      this.#context.health.state === 'connected' &&
      this.#ticket.session.isValid() &&
      this.#ticket.mayPassOn(withinMs)
    );
  }

  #leave(): Promise<Departure> {
    const departure = this.#ticket.leave();
    this.#context.inBackground(departure);
    return departure;
  }
}
