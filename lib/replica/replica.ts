/**
 * A replica: the entries of one span of keys, kept in memory. The engine under config, cached reads, discovery and election observers.
 *
 * Guarantees. What it shows was the state of the span at `revision`, whole: never half of a transaction. That revision does not go back,
 * unless a resync announces it. Those who follow it get every change once and in order, or a resync with what led from the state
 * they knew to the new one. The age it reports is at least the true one: it counts from before the sending of a question whose answer
 * proved that nothing newer existed then.
 *
 * Not guaranteed. That it is new: it is stale by at least one delivery, and during an outage by the whole of it. It says how stale.
 *
 * Protocol.
 * 1. list: the span at one revision R, in pages.
 * 2. watch: from R + 1; whole revisions are applied and told in order.
 * 3. prove: now and then, ask whether there is anything newer; see freshness.ts.
 * 4. check: once a watch is open, the first one as any later one, the last applied event has to be found in history as it was, and
 *    nothing else up to the applied revision; a restored store with newer writes on top would otherwise hide what it has lost, and what
 *    it has instead. Only then is anything applied that the watch delivers. See docs/adr/0017-check-once-open.md.
 * 5. resync: where the history between is gone or another one, list again, tell the difference, and swap at once.
 */
import { abortable, linkSignals } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import { tell } from '../runtime/diagnostics.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { follow, revisionOf } from '../store/follow.ts';
import type { Openings } from '../store/openings.ts';
import type { Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { KeyValue, Span, Store, WatchEvent } from '../store/store.ts';
import { revisionOfChange, Contents, difference, newest, type Change } from './contents.ts';
import { Detour } from './detour.ts';
import { Freshness } from './freshness.ts';
import { HistoryChanged, Landmarks } from './landmarks.ts';
import { checkLimits, listSpan, type Limits } from './listing.ts';
import { Questions } from './questions.ts';

export interface ReplicaOptions extends Limits {
  readonly span: Span;
  /** How often freshness is proved, in milliseconds, plus or minus a tenth. */
  readonly freshnessMs: number;
}

/** Those who follow a replica. */
export interface Follower {
  /** Changes of whole revisions, in order. */
  changed(changes: readonly Change[], revision: bigint): void;
}

/** What is known at all, and how: nothing, what a file said, or what the store said. */
export type Origin = 'nothing' | 'snapshot' | 'store';

/** After an outage, what one replica of a single key asks waits so long for others to ask along. Too short for anybody to notice. */
const RESUME_PATIENCE_MS = 20;

/** Between attempts after a refusal that somebody has to mend. */
const REFUSED_WAIT_MS = 5_000;

export class Replica {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #options: ReplicaOptions;
  readonly #questions: Questions;
  readonly #openings: Openings | undefined;
  readonly #followers = new Set<Follower>();
  readonly #freshness: Freshness;
  #contents = new Contents();
  #origin: Origin = 'nothing';
  #landmarks = new Landmarks(undefined, 0n);
  #applied = 0n;
  #detour = new Detour();
  #failure: StoreError | undefined;
  #resyncs = 0;
  /** There was a resync of which no change could tell yet. */
  #isGapUntold = false;
  #life = new AbortController();
  /** Those who wait for a change, if anybody does: there may be ten thousand replicas, and few are waited for. */
  #wakers: Set<() => void> | undefined;
  #run: Promise<void> | undefined;
  #closed: StoreError | undefined;

  /** `questions`: those that it is to ask together with others; `openings`: with whom its watch takes turns. */
  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    options: ReplicaOptions,
    questions: Questions = new Questions(runtime, store),
    openings?: Openings,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#options = options;
    this.#questions = questions;
    this.#openings = openings;
    this.#freshness = new Freshness(runtime, store, repetition, questions, options, {
      proved: () => this.#wake(),
      change: (withinMs, signal) => this.#changeWithin(withinMs, signal),
    });
  }

  get entries(): ReadonlyMap<string, KeyValue> {
    return this.#contents.entries;
  }

  get origin(): Origin {
    return this.#origin;
  }

  /** The revision up to which the entries are known to be the store's. */
  get revision(): bigint {
    const { revision } = this.#freshness;
    return revision > this.#applied ? revision : this.#applied;
  }

  get resyncs(): number {
    return this.#resyncs;
  }

  /** Why there is nothing newer: a refusal, or a limit. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  /** Milliseconds since it was last proved complete; infinite if it never was. At least the true staleness. */
  ageMs(): number {
    return this.#freshness.ageMs();
  }

  /** A proof that failed to come for twice its interval makes what is known stale. */
  isFresh(): boolean {
    return this.ageMs() <= 2 * this.#options.freshnessMs;
  }

  start(): void {
    this.#run ??= this.#keep();
  }

  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  /** What a file said, until the store says something. */
  preload(entries: Iterable<KeyValue>): void {
    if (this.#origin !== 'nothing') return;
    this.#contents = Contents.of(entries);
    this.#origin = 'snapshot';
  }

  /** Resolves once the entries are known up to `revision`. Rejects with `signal.reason`, or with what keeps it from ever knowing. */
  async reached(revision: bigint, signal: AbortSignal): Promise<void> {
    while (this.#origin !== 'store' || this.revision < revision) {
      signal.throwIfAborted();
      if (this.#closed !== undefined) throw this.#closed;
      if (this.#failure?.outcome === 'permanent') throw this.#failure;
      await this.#change(signal);
    }
  }

  /**
   * Resolves once what is known is proved to be the store's, as of some moment after the call: a linearizable read of the whole span
   * for one small answer. It goes through raft, since on servers before 3.4.42 and 3.5.28 other reads can be stale. Rejects with a
   * StoreError or with `signal.reason`.
   */
  async confirm(signal: AbortSignal): Promise<void> {
    await this.reached(0n, signal);
    await this.#freshness.confirm(signal);
  }

  /** What is known cannot be trusted any more: list again. */
  resync(reason: string): void {
    this.#life.abort(new HistoryChanged(reason));
  }

  async close(): Promise<void> {
    this.#closed ??= new StoreError('closed', 'permanent', 'the replica was closed');
    this.#life.abort(this.#closed);
    await this.#run;
    this.#wake();
  }

  async #keep(): Promise<void> {
    while (this.#closed === undefined) {
      const { signal } = this.#life;
      let failure: unknown;
      try {
        await this.#list(signal);
        await Promise.race([this.#watch(signal), this.#freshness.keep(signal)]);
      } catch (error) {
        failure = error;
      }
      this.#life.abort(new HistoryChanged('this life of the replica is over'));
      if (this.#closed !== undefined) break;
      this.#life = new AbortController();
      await this.#recover(failure, this.#life.signal).catch(() => {});
    }
  }

  /** 5. What ends a life: a history that is gone or changed is listed anew at once; a refusal waits for somebody to mend it. */
  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { logger, clock } = this.#runtime;
    const where = 'prefix' in this.#options.span ? this.#options.span.prefix : this.#options.span.key;
    if (error instanceof HistoryChanged || (error instanceof StoreError && error.reason === 'compacted')) {
      logger.warn('A replica lists again', { event: 'replica.resync', span: where, reason: error.message });
      tell('resync', { span: where, reason: error.message });
      return;
    }
    this.#failure = error instanceof StoreError ? error : new StoreError('internal', 'transient', String(error));
    this.#wake();
    logger.error('A replica cannot be kept', { event: 'replica.failed', span: where, reason: this.#failure.message });
    await sleep(clock, REFUSED_WAIT_MS, signal);
  }

  /** 1 */
  async #list(signal: AbortSignal): Promise<void> {
    const { span } = this.#options;
    /* Whoever knew something before is told that there is a gap. */
    const isResync = this.#origin !== 'nothing';
    const patienceMs = isResync ? RESUME_PATIENCE_MS : 0;
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal, patienceMs };
    const listing = await listSpan(this.#runtime, this.#questions, this.#repetition, span, this.#options, call);
    const { contents, revision, askedAt } = listing;
    const changes = difference(this.#contents, contents, revision, isResync);
    if (this.#origin === 'store') this.#resyncs += 1;
    this.#contents = contents;
    this.#origin = 'store';
    this.#applied = revision;
    this.#detour = new Detour();
    this.#landmarks = new Landmarks(newest(contents), revision);
    this.#freshness.begin(revision, contents.entries.size, askedAt);
    this.#failure = undefined;
    this.#isGapUntold = isResync && changes.length === 0;
    this.#tell(changes, revision);
  }

  /** 2 */
  async #watch(signal: AbortSignal): Promise<never> {
    const request = { span: this.#options.span, fromRevision: this.#applied + 1n };
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal, patienceMs: RESUME_PATIENCE_MS };
    const holding = () => ({
      span: this.#options.span,
      revision: this.#applied,
      size: this.#contents.entries.size,
    });
    const options = {
      beforeResume: () => this.#landmarks.unchanged(this.#questions, holding(), call),
      /* What is delivered waits for the answer, so this one has no patience. */
      onceOpen: () => this.#landmarks.check(this.#questions, holding(), { ...call, patienceMs: 0 }),
      openings: this.#openings,
    };
    for await (const { events } of follow(this.#runtime, this.#store, request, signal, options)) {
      signal.throwIfAborted();
      if (events.length === 0) continue;
      const before = this.#applied;
      const changes = wholeRevisions(events)
        .filter(([revision]) => revision > this.#applied)
        .flatMap((next) => this.#detour.take(next, this.#freshness.revision, (key) => this.#contents.entries.has(key)))
        .flatMap(([revision, some]) => this.#apply(revision, some));
      if (this.#applied === before) continue;
      checkLimits(this.#contents, this.#options);
      this.#tell(this.#withGap(changes), this.#applied);
    }
    throw new HistoryChanged('the watch ended');
  }

  #apply(revision: bigint, events: readonly WatchEvent[]): readonly Change[] {
    const changes = this.#contents.apply(events, this.#applied);
    this.#applied = revision;
    for (const event of events) this.#landmarks = this.#landmarks.after(event);
    this.#freshness.step(revision, events, this.#contents.entries.size);
    return changes;
  }

  /**
   * 5. Over a gap that has changed nothing in the end, it is the next revision that tells of the gap: something may have come and gone. All
   * of it, since the parts of a revision never are apart.
   */
  #withGap(changes: readonly Change[]): readonly Change[] {
    const [first] = changes;
    if (!this.#isGapUntold || first === undefined) return changes;
    this.#isGapUntold = false;
    const next = revisionOfChange(first);
    return changes.map((change) => (revisionOfChange(change) === next ? { ...change, resynced: true } : change));
  }

  /** One follower that throws starves nobody else. */
  #tell(changes: readonly Change[], revision: bigint): void {
    for (const follower of [...this.#followers]) {
      try {
        follower.changed(changes, revision);
      } catch (error) {
        this.#runtime.logger.error('A follower of a replica threw', {
          event: 'replica.follower',
          error: String(error),
        });
      }
    }
    this.#wake();
  }

  /** Resolves when something about the replica has changed, or after so long. */
  async #changeWithin(waitMs: number, signal: AbortSignal): Promise<void> {
    const either = new AbortController();
    const { signal: wait, unlink } = linkSignals(signal, either.signal);
    const over = sleep(this.#runtime.clock, waitMs, wait);
    await Promise.race([this.#change(wait), over]).finally(() => {
      either.abort();
      unlink();
    });
  }

  /** Resolves when something about the replica has changed. */
  #change(signal: AbortSignal): Promise<void> {
    return abortable(
      new Promise((resolve) => {
        this.#wakers ??= new Set();
        this.#wakers.add(resolve);
      }),
      signal,
    );
  }

  #wake(): void {
    const wakers = this.#wakers ?? [];
    this.#wakers = undefined;
    for (const wake of wakers) wake();
  }
}

/** Events in the order of their revisions, those of each together. */
function wholeRevisions(events: readonly WatchEvent[]): (readonly [bigint, readonly WatchEvent[]])[] {
  const revisions: [bigint, WatchEvent[]][] = [];
  for (const event of events) {
    const revision = revisionOf(event);
    const last = revisions.at(-1);
    if (last?.[0] === revision) last[1].push(event);
    else revisions.push([revision, [event]]);
  }
  return revisions;
}
