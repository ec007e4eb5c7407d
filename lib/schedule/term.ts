/**
 * One term of leading a job: looks what is to be done, does one thing, looks again.
 *
 * 1. While there is no contact with etcd nothing is begun.
 * 2. Runs of lost leaders are called abandoned, or started once more.
 * 3. A request is claimed if one is there.
 * 4. The clock is trusted if it has run steadily and is not ahead of the others'.
 * 5. What is due since the last tick is claimed, as the missed policy says.
 * 6. Otherwise it waits for the next tick, or for whatever else comes first.
 *
 * Wall time is asked in 4 and 5 alone, and can only keep us from claiming or tell us when to look. Who wins is decided by the compares of
 * ledger.ts.
 */
import type { Leadership } from '../election/leadership.ts';
import type { Health } from '../health/health.ts';
import type { Replicas } from '../replica/replicas.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { StoreError } from '../store/store-error.ts';
import { Cadence, type Due, type Stretch } from './cadence.ts';
import type { JobOptions } from './job-options.ts';
import { JobView, type JobKeys, type JobState } from './job-view.ts';
import type { Epoch, Ledger, Standing, Written } from './ledger.ts';
import { Notices } from './notices.ts';
import type { PeerClocks } from './peer-clocks.ts';
import { planFor } from './policy.ts';
import { runKey, type Settled } from './record.ts';
import type { Runs } from './runs.ts';
import type { Steadiness } from './steadiness.ts';
import { Trust } from './trust.ts';
import { Wake } from './wake.ts';

/** What a term needs of its job and its coordinator. */
export interface TermContext {
  readonly runtime: Runtime;
  readonly health: Health;
  readonly replicas: Replicas;
  readonly peers: PeerClocks;
  readonly steadiness: Steadiness;
  readonly deadlineMs: number;
  readonly name: string;
  readonly keys: JobKeys;
  readonly options: JobOptions;
  readonly ledger: Ledger;
  readonly runs: Runs;
}

/** No wait is longer: a wall clock that is set, or a machine that was suspended, is noticed by then. */
const SLICE_MS = 30_000;

/** After a failure, or a claim that was refused. */
const RETRY = { baseMs: 100, capMs: 5_000 };

/** After a refusal that somebody has to mend. */
const REFUSED_WAIT_MS = 30_000;

/** What a look comes to: something was done, or how long to wait; or that we should not lead. */
type Look = { readonly waitMs: number } | 'stand-back';

const AGAIN: Look = { waitMs: 0 };
const IDLE: Look = { waitMs: SLICE_MS };

export class Term {
  readonly #context: TermContext;
  readonly #leadership: Leadership;
  readonly #view: JobView;
  readonly #wake = new Wake();
  readonly #trust: Trust;
  readonly #notices: Notices;
  #epoch: Epoch | undefined;
  /** What we have written ourselves is to be seen before anything is decided. */
  #written = 0n;
  #refusals = 0;

  constructor(context: TermContext, leadership: Leadership) {
    const { runtime, replicas, peers, steadiness, keys, options, name } = context;
    this.#context = context;
    this.#leadership = leadership;
    this.#view = new JobView(replicas, keys, () => this.#wake.ring());
    this.#notices = new Notices(runtime, name, keys);
    this.#trust = new Trust(runtime, peers, steadiness, { job: name, maxSkewMs: options.maxClockSkewMs });
  }

  /** Resolves if our clock is not fit to lead; else it goes on until the leadership's signal aborts. Waits for what runs. */
  async serve(): Promise<void> {
    const { runtime, health, runs, deadlineMs } = this.#context;
    const { signal } = this.#leadership;
    const ring = (): void => this.#wake.ring();
    const unsubscribe = health.subscribe(ring);
    const unattend = runs.attend((revision) => {
      this.#see(revision);
      ring();
    });
    try {
      for (let failures = 0; ;) {
        signal.throwIfAborted();
        try {
          const look = await this.#look(signal);
          failures = 0;
          if (look === 'stand-back') return;
          if (look.waitMs > 0) await this.#wake.wait(runtime.clock, look.waitMs, signal);
        } catch (error) {
          signal.throwIfAborted();
          failures += 1;
          await this.#pauseAfter(error, failures, signal);
        }
      }
    } finally {
      await runs.worked();
      /* Whoever leads next should know how they ended; the resigning waits for it, but not for ever. */
      const enough = new AbortController();
      const over = sleep(runtime.clock, this.#leadership.isHeld() ? deadlineMs : 0, enough.signal).catch(() => {});
      await Promise.race([runs.recorded(), over]);
      enough.abort();
      unsubscribe();
      unattend();
      await this.#view.close();
    }
  }

  async #look(signal: AbortSignal): Promise<Look> {
    const { health, ledger, runs, options } = this.#context;
    /* 1 */
    if (health.state !== 'connected') return IDLE;
    if (this.#epoch === undefined) {
      await this.#view.confirm(signal);
      this.#epoch = await ledger.epoch(signal);
    }
    await this.#view.reached(this.#written, signal);
    const { state } = this.#view;
    const leads = this.#leadership
      .ifHeld()
      .map(({ key, createRevision }) => ({ key, target: 'create', is: '=', than: createRevision }) as const);
    const standing: Standing = { leads, epoch: this.#epoch };
    const mayStart = !state.isPaused && runs.size < options.maxRuns;
    const recovered = await this.#recover(state, standing, mayStart, signal);
    if (recovered !== undefined) return recovered;
    if (!mayStart) return IDLE;
    /* 3 */
    if (state.request !== undefined) {
      return this.#after(await ledger.claimRequest(state, standing, state.request, this.#nowMs(), signal), signal);
    }
    if (state.unreadable !== undefined) this.#notices.unreadable(state.unreadable);
    if (state.settled === undefined && state.settledRevision > 0n) return IDLE;
    /* 4 */
    const trust = await this.#trust.look(signal);
    if (trust !== 'trusted') return trust;
    return this.#claim(state, standing, signal);
  }

  /** 2. One of them, if there is one of which anything can be done now. */
  async #recover(
    state: JobState,
    standing: Standing,
    mayStart: boolean,
    signal: AbortSignal,
  ): Promise<Look | undefined> {
    const { ledger, runs, options } = this.#context;
    const lost = state.open.filter(({ key }) => !runs.has(key));
    const hopeless = lost.find(({ run }) => run.attempt >= options.maxAttempts);
    const next = hopeless ?? (mayStart ? lost[0] : undefined);
    if (next === undefined) return undefined;
    const written =
      hopeless === undefined
        ? await ledger.claimRetry(state, standing, next, this.#nowMs(), signal)
        : await ledger.abandon(state, standing, next, signal);
    if (written.succeeded) this.#notices.abandoned(next, { isRetried: hopeless === undefined });
    return this.#after(written, signal);
  }

  /** 5 and 6 */
  async #claim(state: JobState, standing: Standing, signal: AbortSignal): Promise<Look> {
    const { ledger, options, name, runtime } = this.#context;
    const { cadence } = options;
    const { settled } = state;
    const nowMs = this.#nowMs();
    if (settled?.pattern !== cadence.pattern || settled.timezone !== cadence.timezone) {
      const missed = settled === undefined ? undefined : missedBefore(settled, nowMs);
      const written = await ledger.begin(state, standing, this.#settledAt(nowMs), missed, signal);
      if (written.succeeded && missed !== undefined) this.#notices.missed(missed);
      return this.#after(written, signal);
    }
    if (settled.atMs > nowMs + options.maxClockSkewMs) this.#notices.future(settled);
    const due = this.#withoutKnown(cadence.due(settled.atMs, nowMs), state);
    const plan = planFor(due, options.missed, nowMs);
    if (plan === undefined) {
      const first = cadence.next(settled.atMs);
      const nextMs = first !== undefined && first <= nowMs ? cadence.next(nowMs) : first;
      return { waitMs: nextMs === undefined ? SLICE_MS : Math.min(SLICE_MS, Math.max(1, nextMs - nowMs)) };
    }
    const written = await ledger.claim(state, standing, plan, this.#settledAt(plan.upToMs), nowMs, signal);
    if (written.succeeded && plan.missed !== undefined) this.#notices.missed(plan.missed);
    if (!written.succeeded) runtime.logger.debug('A claim was refused', { event: 'schedule.unclaimed', job: name });
    return this.#after(written, signal);
  }

  /** What was written is seen before the next look; what was refused rested on something that has changed, so look at everything anew. */
  async #after({ succeeded, revision, claimed }: Written, signal: AbortSignal): Promise<Look> {
    if (succeeded) {
      this.#refusals = 0;
      this.#see(revision);
      if (claimed !== undefined) this.#context.runs.begin(claimed, this.#leadership);
      return AGAIN;
    }
    this.#refusals += 1;
    this.#epoch = undefined;
    const { clock, random } = this.#context.runtime;
    const pauseMs = fullJitterMs(this.#refusals, RETRY, () => random.uniform());
    await sleep(clock, pauseMs, signal);
    return AGAIN;
  }

  async #pauseAfter(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#context;
    const isRefused = error instanceof StoreError && error.outcome === 'permanent';
    if (isRefused) this.#notices.refused(error);
    else this.#notices.delayed(error);
    const { random } = runtime;
    /* Space comes back without a change of anybody's rights, and ticks are due. */
    const isLasting = isRefused && error.reason !== 'quota';
    const pauseMs = isLasting
      ? REFUSED_WAIT_MS * (0.5 + random.uniform())
      : fullJitterMs(failures, RETRY, () => random.uniform());
    await sleep(runtime.clock, pauseMs, signal);
  }

  /** Instants that have a record already, from a time at which the job was settled further on than it is now. */
  #withoutKnown({ newest, earlier }: Due, state: JobState): Due {
    const { history } = this.#context.keys;
    const isNew = (scheduledForMs: number): boolean =>
      !state.history.has(runKey(history, { scheduledForMs, attempt: 1 }));
    return { newest: newest.filter(isNew), earlier };
  }

  #settledAt(atMs: number): Settled {
    const { pattern, timezone } = this.#context.options.cadence;
    return { atMs: Math.round(atMs), pattern, timezone };
  }

  #nowMs(): number {
    return this.#context.runtime.clock.now().wallMs;
  }

  #see(revision: bigint): void {
    if (revision > this.#written) this.#written = revision;
  }
}

/** What was due by a pattern that is not the job's any more: it is recorded, and a changed pattern starts nothing that was due before. */
function missedBefore(settled: Settled, nowMs: number): Stretch | undefined {
  try {
    const due = new Cadence(settled.pattern, settled.timezone).due(settled.atMs, nowMs);
    return planFor(due, 'skip', Number.POSITIVE_INFINITY)?.missed;
  } catch {
    /* Written by another version, whose patterns we cannot read. */
    return undefined;
  }
}
