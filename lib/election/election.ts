/**
 * An election over processes, with a fencing token for each term.
 *
 * Guarantees. Tokens rise from term to term. `isHeld()` is true for at most one leader at a time, up to the limits that session.ts
 * states: a leader steps down by its own clock before etcd could let the next one in. Observers never name a leader that the store did
 * not have. Not guaranteed: that what a leader sends arrives while it leads. Give the token to a guard at the resource.
 *
 * Keys and values are those of etcd's Go package `concurrency.Election` and of `etcdctl elect`, with which it contends: the key's value is
 * exactly what was proclaimed. Who a leader is stands under its session. All candidates are equal; there are no priorities.
 */
import {
  expectBoolean,
  expectDuration,
  expectFunction,
  expectOptions,
  expectSignal,
  expectValue,
  show,
} from '../arguments.ts';
import { CoordinationUnavailableError, LockTimeoutError } from '../errors.ts';
import { Contest, type ContestContext } from '../queue/contest.ts';
import type { QueueReport } from '../queue/inspect.ts';
import type { Replicas } from '../replica/replicas.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { linkSignals } from '../runtime/abort.ts';
import { elapsedMs, sleep } from '../runtime/clock.ts';
import { withDecimals } from '../runtime/decimals.ts';
import { textOf } from '../runtime/thrown.ts';
import type { Sequence } from '../sequence/sequence.ts';
import type { QueueKind } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import type { KeyValue } from '../store/store.ts';
import { LeaderReader, type Leader } from './leader.ts';
import { Leadership, leadershipLoss } from './leadership.ts';
import { Observation } from './observation.ts';
import { serveTerm, type TermOptions } from './term.ts';

/** How to wait for being elected. */
export interface CampaignOptions {
  /**
   * What observers see of the leader, an address for example.
   * @default ''
   */
  readonly value?: string | undefined;
  /**
   * How long to wait, in milliseconds.
   * @default no limit
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Go on waiting while there is no contact with etcd for longer than a lease lasts, instead of rejecting at once.
   * @default false
   */
  readonly waitForRecovery?: boolean | undefined;
}

/** How to lead, and how to stop. */
export interface LeadOptions {
  /** What observers see of the leader. @default '' */
  readonly value?: string | undefined;
  /** Ends it: the work is told to stop, waited for, and the leadership resigned. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the work may go on after it was told to stop, in milliseconds.
   * @default 10_000
   */
  readonly drainMs?: number | undefined;
  /**
   * What to do with work that goes on for longer: reject with WorkStuckError, or end the process with exit code 70, which also ends the
   * work. In neither case is the key released under it.
   * @default 'reject'
   */
  readonly onStuck?: 'reject' | 'exit' | undefined;
}

/** Whether this process leads, for a readiness endpoint. */
export interface Standing {
  /** By the clock, at the time of the call. */
  readonly isLeader: boolean;
  /** Milliseconds for which that holds if no further renewal is answered; 0 if it does not lead. */
  readonly remainingMs: number;
  /** The term's fencing token. */
  readonly token?: bigint;
}

/** What the elections of one coordinator share. */
export interface ElectionContext extends ContestContext {
  readonly operations: Operations;
  readonly replicas: Replicas;
  /** Throws ClosedError once the coordinator closes. */
  readonly expectOpen: () => void;
  /** Those that are open, for the coordinator to close. */
  readonly opened: Set<{ close(): Promise<void> }>;
}

/** After a lost term, or none. One that lasted, with the waiting before it, begins anew at the base. */
const CAMPAIGN_BACKOFF = { baseMs: 200, capMs: 5_000 };

/** As a term counts that did: longer than the longest wait. */
const LASTING_TERM_MS = 10_000;

const DEFAULT_DRAIN_MS = 10_000;

/** How often the observers of an election prove that they have missed nothing; one small call for all of them. */
const OBSERVER_FRESHNESS_MS = 5_000;

/**
 * An election over processes, with a fencing token for each term. Made by `coordinator.election`. At most one leader at a time sees `isHeld()` true, up to
 * the limits that the README states: it steps down by its own clock before etcd could let the next one in. Its queue is that of `etcdctl elect` and of
 * Go's `concurrency.Election`.
 */
export class Election {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #context: ElectionContext;
  readonly #kind: QueueKind;
  readonly #prefix: string;
  readonly #reader: LeaderReader;

  /** @internal */
  constructor(context: ElectionContext, name: string, kind: QueueKind = 'election') {
    const { runtime, store, repetition, keyspace } = context;
    this.name = name;
    this.#context = context;
    this.#kind = kind;
    this.#prefix = keyspace.queue(kind, name);
    this.#reader = new LeaderReader(runtime, store, repetition, keyspace, this.#prefix);
  }

  /**
   * Waits until this process is elected. Rejects with CoordinationUnavailableError: etcd does not answer; `signal.reason`;
   * LockTimeoutError after `timeoutMs`: somebody else leads; AccessDeniedError; LimitExceededError for a value of more than
   * 1,500,000 bytes; ClosedError. What was sent for a call that rejects is withdrawn in the background.
   */
  async campaign(options: CampaignOptions = {}): Promise<Leadership> {
    expectOptions('campaign', options, ['value', 'timeoutMs', 'signal', 'waitForRecovery']);
    const { value = '', timeoutMs, signal, waitForRecovery = false } = options;
    if (timeoutMs !== undefined) expectDuration('timeoutMs', timeoutMs);
    expectBoolean('waitForRecovery', waitForRecovery);
    const contest = this.#contest(value);
    const tenure = await contest.join({ timeoutMs, signal: expectSignal(signal), waitForRecovery });
    return new Leadership(tenure, contest, this.#context.operations);
  }

  /**
   * Leads whenever it is elected. Waits through outages, and while etcd has no space. Resolves with the work's result; if the work throws
   * while leading, resigns and rejects with that error. If the leadership is lost first, it waits for the work's end and campaigns again,
   * whatever the work made of it. On its signal: aborts `leadership.signal`, waits for the work, resigns, then rejects with
   * `signal.reason`.
   *
   * The key is never released under running work: what has not ended `drainMs` after it was told to keeps it, and the call rejects with
   * WorkStuckError. Rejects with ClosedError when the coordinator closes, AccessDeniedError when etcd refuses.
   */
  async lead<T>(work: (leadership: Leadership) => Promise<T> | T, options: LeadOptions = {}): Promise<T> {
    expectFunction('the work of lead', work);
    expectOptions('lead', options, ['value', 'signal', 'drainMs', 'onStuck']);
    const { value = '', drainMs = DEFAULT_DRAIN_MS, onStuck = 'reject' } = options;
    expectDuration('drainMs', drainMs);
    if (onStuck !== 'reject' && onStuck !== 'exit') {
      throw new TypeError(`Expected onStuck to be 'reject' or 'exit', got ${show(onStuck)}`);
    }
    const signal = expectSignal(options.signal);
    const { runtime } = this.#context;
    const contest = this.#contest(value);
    for (let failures = 0; ;) {
      const begunAt = runtime.clock.now();
      const term = await this.#term(contest, work, { signal, drainMs, onStuck });
      if ('settled' in term) return term.settled;
      failures = elapsedMs(begunAt, runtime.clock.now()) > LASTING_TERM_MS ? 0 : failures + 1;
      const pauseMs = fullJitterMs(failures, CAMPAIGN_BACKOFF, () => runtime.random.uniform());
      const { signal: over, unlink } = linkSignals(signal, this.#context.queue.closing);
      await sleep(runtime.clock, pauseMs, over).finally(unlink);
    }
  }

  /** Campaigns and works once. Nothing is settled if there was no leadership to be had, or if it was lost under the work. */
  async #term<T>(
    contest: Contest,
    work: (leadership: Leadership) => Promise<T> | T,
    options: TermOptions,
  ): Promise<{ readonly settled: T } | { readonly lost: true }> {
    const { runtime, operations } = this.#context;
    const tenure = await contest.join({ signal: options.signal, waitForRecovery: true }).catch((error: unknown) => {
      /* Waiting was not enough: etcd answers that it cannot, for want of space for example. Whoever leads for ever tries again. */
      if (!(error instanceof CoordinationUnavailableError)) throw error;
      runtime.logger.warn(error.message, { event: 'election.unavailable', election: this.name });
      return undefined;
    });
    if (tenure === undefined) return { lost: true };
    const leadership = new Leadership(tenure, contest, operations);
    const { result, loss } = await serveTerm(runtime, contest, tenure, () => work(leadership), options);
    if (tenure.interruption !== undefined) throw tenure.interruption.reason;
    if (loss === undefined) {
      if ('error' in result) throw result.error;
      return { settled: result.value };
    }
    const workError = 'error' in result ? textOf(result.error) : undefined;
    runtime.logger.warn(loss.message, { event: 'election.lost', election: this.name, workError });
    return { lost: true };
  }

  /**
   * Who leads, or `undefined`: linearizable, read through raft, two calls. Rejects with CoordinationUnavailableError after the
   * request's deadline, AccessDeniedError, `signal.reason`.
   */
  async leader(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Leader | undefined> {
    expectOptions('leader', options, ['signal']);
    return this.#contest('').ask(expectSignal(options.signal), (signal) => this.#reader.current(signal));
  }

  /**
   * Who leads now, then every change in order, absence (`undefined`) and newly proclaimed values included. Over a gap (compaction during
   * an outage) it goes on with how things are. A reader that is 1,000 changes behind gets the newest. Ends when the coordinator
   * closes; throws `signal.reason` on abort, AccessDeniedError if etcd refuses, ClosedError at once on a closed coordinator.
   */
  observe(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<Leader | undefined> {
    expectOptions('observe', options, ['signal']);
    const caller = expectSignal(options.signal);
    const { expectOpen, opened, replicas } = this.#context;
    expectOpen();
    const share = replicas.open({
      span: { prefix: this.#prefix },
      freshnessMs: OBSERVER_FRESHNESS_MS,
      maxEntries: Number.MAX_SAFE_INTEGER,
      maxBytes: Number.MAX_SAFE_INTEGER,
      hasSnapshot: false,
    });
    const describe = (entry: KeyValue, signal: AbortSignal) => this.#reader.describe(entry, signal);
    return new Observation(share, this.#shown, describe, caller, opened).sequence;
  }

  /** Who leads and who waits, in order, read through raft. Rejects with CoordinationUnavailableError, AccessDeniedError. */
  async inspect(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<QueueReport> {
    expectOptions('inspect', options, ['signal']);
    return this.#contest('').inspect(expectSignal(options.signal));
  }

  /** Whether this process leads, and for how long that is certain. Reads the clock; no I/O. */
  standing(): Standing {
    const tenure = this.#context.queue.holding(this.#prefix);
    if (tenure === undefined) return { isLeader: false, remainingMs: 0 };
    return withDecimals({ isLeader: true, remainingMs: tenure.remainingMs(), token: tenure.token });
  }

  get #shown(): string {
    return `leadership of ${this.#kind} ${JSON.stringify(this.name)}`;
  }

  #contest(value: string): Contest {
    expectValue('value', value);
    const shown = this.#shown;
    return new Contest(this.#context, {
      prefix: this.#prefix,
      name: shown,
      value,
      watchAfterMs: 0,
      /* Each term is one of its own, at etcd and for whoever observes it. */
      isForShort: false,
      handoffMs: 0,
      lossOf: (reason) => leadershipLoss(shown, reason),
      timeoutOf: (waitedMs) =>
        new LockTimeoutError(
          `The ${shown} was somebody else's for all of the ${waitedMs} ms. etcd answers; try again later.`,
        ),
    });
  }
}
