/**
 * The local end of one wait queue: those of this process who want it, in order, behind a single ticket. So etcd sees one contender a
 * process, however many there are inside, and a ticket's place is passed to the next one when the first gives up.
 *
 * One round after the other, while anybody waits: have a session, get a ticket, wait for its turn, give the first waiter its
 * tenure, and wait until the ticket leaves.
 *
 * What becomes of the ticket then, which need not leave with its first tenure, is in custody.ts.
 */
import { ClosedError, CoordinationUnavailableError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { abortable, onAbort } from '../runtime/abort.ts';
import { DeadlineReached } from '../runtime/deadline.ts';
import { asPublicError } from '../store/store-error.ts';
import { Custody, type Claimant, type Keeping, type LineIdentity, type QueueContext } from './custody.ts';
import type { Tenure } from './tenure.ts';
import { Ticket } from './ticket.ts';
import { keepVigil } from './vigil.ts';

export interface JoinOptions {
  /** How long to wait, in milliseconds; absent: for as long as it takes. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * All that the caller waits, with what it has waited before, for the error.
   * @default `timeoutMs`
   */
  readonly patienceMs?: number | undefined;
  /** Wait also while etcd is away for longer than a lease lasts. */
  readonly waitForRecovery?: boolean | undefined;
  /** What may become of the key afterwards. It is kept for as long as the tenure lasts, as the rest of these is not. */
  readonly keeping?: Keeping | undefined;
}

interface Waiter extends Claimant {
  readonly waitForRecovery: boolean;
  readonly refuse: (error: unknown) => void;
}

const noop = (): void => {};

export class Line {
  readonly #context: QueueContext;
  readonly #identity: LineIdentity;
  readonly #onIdle: () => void;
  readonly #waiters = new Set<Waiter>();
  /** The one under way. */
  #ticket: Ticket | undefined;
  /** Of the ticket that has the queue. */
  #custody: Custody | undefined;
  /** Ends the round under way: nobody waits for its outcome any more. */
  #abandon: () => void = noop;
  #serving = false;
  /** Ends when nobody waits any more and the last round is over. */
  #served: Promise<void> | undefined;
  #trying: Promise<void> | undefined;
  #tries = 0;

  constructor(context: QueueContext, identity: LineIdentity, onIdle: () => void) {
    this.#context = context;
    this.#identity = identity;
    this.#onIdle = onIdle;
  }

  /** Waits in line. Rejects with the identity's timeout error, with CoordinationUnavailableError, or with `signal.reason`. */
  join(options: JoinOptions): Promise<Tenure> {
    const { timeoutMs, patienceMs = timeoutMs ?? 0, signal, waitForRecovery = false, keeping = {} } = options;
    const rested = signal?.aborted === true ? undefined : this.#custody?.takeUp(keeping);
    if (rested !== undefined) return Promise.resolve(rested);
    return new Promise<Tenure>((resolve, reject) => {
      const { clock } = this.#context.runtime;
      let stopListening = (): void => {};
      const settle = (act: () => void): void => {
        if (!this.#waiters.delete(waiter)) return;
        cancelTimeout();
        stopListening();
        act();
        if (this.#waiters.size === 0 && this.#custody === undefined) this.#abandon();
      };
      const cancelTimeout =
        timeoutMs === undefined
          ? () => {}
          : clock.schedule(timeoutMs, () => settle(() => reject(this.#timeout(patienceMs))));
      const waiter: Waiter = {
        waitForRecovery,
        keeping,
        grant: (tenure) => settle(() => resolve(tenure)),
        refuse: (error) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
      stopListening = onAbort(signal, (reason) => settle(() => reject(reason)));
      if (this.#context.health.state === 'degraded') this.refuseWhileDegraded();
      if (this.#waiters.size === 0) this.#rest();
      else this.#serve();
    });
  }

  /** Somebody is known to have it: one of this process, or whoever we wait for. */
  get isContended(): boolean {
    const isHeld = this.#custody?.tenure?.isHeld() === true;
    return isHeld || (this.#context.health.state === 'connected' && this.#ticket?.isContended === true);
  }

  /** Takes it only if nobody has it. Within the signal; rejects as {@link join} does, but for the timeout. */
  async tryJoin(signal: AbortSignal, keeping: Keeping): Promise<Tenure | undefined> {
    this.#tries += 1;
    let attempt: Promise<Tenure | undefined> | undefined;
    try {
      for (;;) {
        const rested = this.#custody?.takeUp(keeping);
        if (rested !== undefined) return rested;
        const other = this.#undecided();
        if (other === undefined) break;
        await abortable(other, signal);
      }
      if (this.#serving) return undefined;
      this.#serving = true;
      attempt = this.#try(signal, keeping);
      this.#trying = attempt.then(noop, noop).then(() => {
        this.#trying = undefined;
        if (this.#custody === undefined) this.#serving = false;
      });
      return await abortable(attempt, signal);
    } catch (error) {
      /* It may have got it at the very moment at which it was given up. */
      void attempt?.then((tenure) => tenure?.release(), noop);
      throw signal.aborted ? this.#givenUp(signal.reason) : error;
    } finally {
      this.#tries -= 1;
      if (this.#trying === undefined) this.#rest();
      else this.#context.inBackground(this.#trying.then(() => this.#rest()));
    }
  }

  /** Waiters that do not wait for a recovery are refused. Called when the health turns degraded. */
  refuseWhileDegraded(): void {
    const { reason } = this.#context.health;
    const error = new CoordinationUnavailableError(
      `Could not acquire ${this.#identity.name}: there has been no contact with etcd for longer than a lease lasts` +
        `${reason === undefined ? '' : ` (${reason})`}. This says nothing about who holds it.`,
    );
    for (const waiter of [...this.#waiters]) if (!waiter.waitForRecovery) waiter.refuse(error);
  }

  /** Refuses everybody who waits; nothing is passed on any more, and what rests leaves. */
  close(error: Error): void {
    this.#refuseAll(error);
    this.#custody?.close();
  }

  #refuseAll(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.refuse(error);
  }

  #serve(): void {
    if (this.#serving || this.#waiters.size === 0) return;
    this.#serving = true;
    this.#served = this.#serveOne().then((isTaken) => {
      if (!isTaken) this.#endRound();
    });
  }

  #endRound(): void {
    this.#served = undefined;
    this.#ticket = undefined;
    this.#custody = undefined;
    this.#serving = false;
    this.#rest();
  }

  /**
   * What is under way here without anybody having the queue, or waiting for it: another try, a round whose waiters have all gone, or a
   * ticket that leaves. A try that took it for a holder would be refused by nobody.
   */
  #undecided(): Promise<void> | undefined {
    if (this.#trying !== undefined) return this.#trying;
    return this.#waiters.size === 0 && this.#custody?.tenure === undefined ? this.#served : undefined;
  }

  /** Nothing is under way: serves those who came meanwhile, or is idle. */
  #rest(): void {
    if (this.#waiters.size > 0) this.#serve();
    else if (!this.#serving && this.#tries === 0) this.#onIdle();
  }

  /** Resolves with whether somebody here has the queue: then the round is over when the ticket is. */
  async #serveOne(): Promise<boolean> {
    const round: { ticket?: Ticket; isAbandoned: boolean } = { isAbandoned: false };
    let giveUp: (reason: Error) => void = noop;
    this.#abandon = () => {
      round.isAbandoned = true;
      giveUp(new Error('nobody waits any more'));
    };
    try {
      let session = this.#context.currentSession();
      if (session === undefined) {
        const opening = new AbortController();
        giveUp = (reason) => opening.abort(reason);
        session = await this.#context.session(opening.signal);
        if (round.isAbandoned) return false;
      }
      const ticket = new Ticket(this.#context, session, this.#identity);
      giveUp = (reason) => ticket.abandon(reason);
      round.ticket = ticket;
      this.#ticket = ticket;
      await ticket.enqueue();
      await this.#turnOf(ticket);
      const [first] = this.#waiters;
      if (first === undefined) this.#leave(ticket);
      else first.grant(this.#begin(ticket, first.keeping));
      return first !== undefined;
    } catch (error) {
      /* It may take its time on its way out: the next ticket can already stand behind it. */
      const { ticket, isAbandoned } = round;
      if (ticket !== undefined) this.#leave(ticket);
      /* A ticket that was lost while it waited is replaced by another, further back; so is one whose session is about to be. */
      const isReplaced = ticket !== undefined && (ticket.loss !== undefined || !ticket.session.isValid());
      if (!isAbandoned && !isReplaced) this.#refuseAll(asPublicError(error, `acquire ${this.#identity.name}`) as Error);
      return false;
    } finally {
      this.#abandon = noop;
    }
  }

  /** Of whom nobody is in the way nothing is to be watched. */
  async #turnOf(ticket: Ticket): Promise<void> {
    if (!ticket.isContended) return ticket.turn();
    const { name: shown, prefix: queue, rivals = queue, isForShort } = this.#identity;
    const { createRevision } = ticket.life;
    const over = new AbortController();
    void keepVigil(this.#context, { shown, queue, rivals, createRevision, isForShort }, over.signal);
    try {
      return await ticket.turn();
    } finally {
      over.abort();
    }
  }

  async #try(signal: AbortSignal, keeping: Keeping): Promise<Tenure | undefined> {
    if (this.#context.health.state === 'degraded') throw this.#unavailable();
    const session = this.#context.currentSession() ?? (await this.#context.session(signal));
    const ticket = new Ticket(this.#context, session, this.#identity);
    const stop = onAbort(signal, (reason) => ticket.abandon(reason));
    try {
      const free = await ticket.enqueueIfFree();
      signal.throwIfAborted();
      if (ticket.loss !== undefined) throw ticket.loss;
      if (free) return this.#begin(ticket, keeping);
    } catch (error) {
      this.#leave(ticket);
      const { loss } = ticket;
      if (loss !== undefined) throw loss instanceof ClosedError ? loss : this.#unavailable(loss);
      throw asPublicError(error, `acquire ${this.#identity.name}`);
    } finally {
      stop();
    }
    this.#leave(ticket);
    return undefined;
  }

  #begin(ticket: Ticket, keeping: Keeping): Tenure {
    /* The answer may have come when the session could not be trusted any more. */
    if (!ticket.session.isValid()) throw this.#unavailable();
    /* The key may be gone since its turn came. Nobody gets a tenure that is over: it would be waited for without end. */
    if (ticket.loss !== undefined) throw ticket.loss;
    const custody = new Custody(this.#context, this.#identity, ticket, this.#waiters);
    const tenure = custody.grant(keeping);
    this.#custody = custody;
    this.#served = ticket.over.then(() => this.#endRound());
    return tenure;
  }

  #leave(ticket: Ticket): void {
    this.#context.inBackground(ticket.leave());
  }

  /** A try that was given up: by its own deadline, which is etcd's fault, or by the caller. */
  #givenUp(reason: unknown): unknown {
    return reason instanceof DeadlineReached ? this.#unavailable() : reason;
  }

  /** Somebody holds it, or etcd does not answer: the two never share an error. */
  #timeout(waitedMs: number): Error {
    return this.isContended ? this.#identity.timeoutOf(waitedMs) : this.#unavailable();
  }

  #unavailable(cause?: unknown): CoordinationUnavailableError {
    return unavailable(this.#identity, this.#context.health, cause);
  }
}

/** etcd does not answer, as far as is known. */
export function unavailable(
  { name }: Pick<LineIdentity, 'name'>,
  { state, reason }: Health,
  cause?: unknown,
): CoordinationUnavailableError {
  /* With contact and no answer the caller had little patience. */
  const what = state === 'connected' ? 'etcd has not answered in time' : 'etcd does not answer';
  return new CoordinationUnavailableError(
    `Could not acquire ${name}: ${what} (health: ${state}${reason === undefined ? '' : `, ${reason}`}). ` +
      'This says nothing about who holds it.',
    { cause },
  );
}
