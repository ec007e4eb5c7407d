/**
 * How fresh a replica is: since when it is proved to be complete.
 *
 * A proof is a linearizable range for the newest key above the applied revision. If, by the revision that it was answered at, the replica
 * has that very key as its newest (or none is newer), and as many keys, it was complete when the range was *sent*: its age counts from
 * there, and is at least the true staleness. Progress notifications prove nothing: a member without quorum sends them, too. It trusts
 * the watch to deliver in order, and finds out one that has lost something. See docs/adr/0006-freshness.md.
 */
import { elapsedMs, sleep, type Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { RangeRequest, Span, Store, WatchEvent } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { HistoryChanged } from './landmarks.ts';
import type { Answer, Questions } from './questions.ts';
import { Trail } from './trail.ts';

export interface FreshnessOptions {
  readonly span: Span;
  /** How often freshness is proved, in milliseconds, plus or minus a tenth. */
  readonly freshnessMs: number;
}

/** What a proof needs of its replica. */
export interface Proven {
  /** A proof has succeeded. */
  readonly proved: () => void;
  /** Resolves when something about the replica has changed, or after so long. */
  readonly change: (withinMs: number, signal: AbortSignal) => Promise<void>;
}

/** How long a linearizable read that found something newer waits for its delivery before it asks again. */
const ASK_AGAIN_MS = 100;

/** As many proofs in a row may show that events are missing before the replica lists again: one can be a delivery under way. */
const UNPROVED_BEFORE_RESYNC = 3;

/** For this part of the interval a proof of a single key waits for those of others, to go with them in one call. */
const PATIENCE = 1 / 50;

export class Freshness {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #options: FreshnessOptions;
  readonly #questions: Questions;
  readonly #replica: Proven;
  #trail = new Trail(0n, 0);
  #applied = 0n;
  #revision = 0n;
  #provedAt: Instant | undefined;
  #unproved = 0;

  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    questions: Questions,
    options: FreshnessOptions,
    replica: Proven,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#questions = questions;
    this.#options = options;
    this.#replica = replica;
  }

  /** Up to which the replica is proved complete. */
  get revision(): bigint {
    return this.#revision;
  }

  /** Milliseconds since the replica was proved complete; infinite if it never was. */
  ageMs(): number {
    return this.#provedAt === undefined
      ? Number.POSITIVE_INFINITY
      : elapsedMs(this.#provedAt, this.#runtime.clock.now());
  }

  /** The replica was listed anew: so many keys, at this revision, asked for then. */
  begin(revision: bigint, size: number, askedAt: Instant): void {
    this.#trail = new Trail(revision, size);
    this.#applied = revision;
    this.#revision = revision;
    this.#provedAt = askedAt;
    this.#unproved = 0;
  }

  /** The replica has applied the events of a revision, and holds so many keys. */
  step(revision: bigint, events: readonly WatchEvent[], size: number): void {
    this.#applied = revision;
    this.#trail.step(revision, events, size);
  }

  /** Proves it again and again. Rejects with HistoryChanged if the watch is silent about what proofs show, and with `signal.reason`. */
  async keep(signal: AbortSignal): Promise<never> {
    const { clock, random, logger } = this.#runtime;
    const patienceMs = this.#options.freshnessMs * PATIENCE;
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal, patienceMs };
    const ask = (question: RangeRequest): Promise<Answer> => this.#questions.ask(question, call);
    const interval = (): number => Math.ceil(this.#options.freshnessMs * (0.9 + 0.2 * random.uniform()));
    for (let pauseMs = interval(); ;) {
      await sleep(clock, pauseMs, signal);
      const nextMs = interval();
      const begunAt = clock.now();
      const before = this.#applied;
      try {
        const proved = await this.#isComplete(ask, nextMs, signal);
        /* Events were under way, or they are missing: a stream that stays silent about them has lost them. */
        this.#unproved = proved || this.#applied > before ? 0 : this.#unproved + 1;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof StoreError)) throw error;
        logger.debug('Freshness could not be proved', { event: 'replica.unproved', reason: error.message });
      }
      if (this.#unproved >= UNPROVED_BEFORE_RESYNC) {
        throw new HistoryChanged('the watch is silent about what a read shows');
      }
      pauseMs = Math.max(0, nextMs - elapsedMs(begunAt, clock.now()));
    }
  }

  /** Resolves once it is proved as of some moment after the call, through raft. Rejects with a StoreError or with `signal.reason`. */
  async confirm(signal: AbortSignal): Promise<void> {
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    const throughRaft = (question: RangeRequest): Promise<Answer> => {
      const ask = async (): Promise<Answer> => {
        const askedAt = this.#runtime.clock.now();
        const [answer] = (await this.#store.transact(rangeThroughRaft(question), call)).responses;
        if (answer?.type !== 'range') throw new StoreError('internal', 'transient', 'a range was not answered as one');
        return { ...answer, askedAt };
      };
      return repeat(this.#runtime, this.#repetition, ask, { signal });
    };
    while (!(await this.#isComplete(throughRaft, ASK_AGAIN_MS, signal))) {
      await this.#replica.change(ASK_AGAIN_MS, signal);
    }
  }

  /** Whether the replica was complete when this was called. Waits so long, at most, for events that the answer shows to be under way. */
  async #isComplete(
    ask: (question: RangeRequest) => Promise<Answer>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock } = this.#runtime;
    const trail = this.#trail;
    const question = trail.ask(this.#options.span);
    try {
      const answer = await ask(question.request);
      const answeredAt = clock.now();
      for (;;) {
        /* Not if it has been listed anew since, perhaps at an older revision. */
        const verdict = trail === this.#trail ? trail.weigh(question, answer) : 'refuted';
        if (verdict === 'proved') {
          this.#provedAt = later(this.#provedAt, answer.askedAt);
          if (answer.revision > this.#revision) this.#revision = answer.revision;
          this.#replica.proved();
          return true;
        }
        const leftMs = Math.ceil(waitMs - elapsedMs(answeredAt, clock.now()));
        if (verdict === 'refuted' || leftMs <= 0) return false;
        await this.#replica.change(leftMs, signal);
      }
    } finally {
      trail.close();
    }
  }
}

function later(a: Instant | undefined, b: Instant): Instant {
  return a !== undefined && a.monotonicMs > b.monotonicMs ? a : b;
}
