/**
 * What a leader writes down of its job. Each write is one transaction, done once, and is refused unless what it rests on still stands:
 *
 * 1. claim: this leadership; the job not paused; the job settled up to where we know (so not up to this tick); no record of this attempt.
 *    It moves the job up to the tick, puts the record `started`, records what is passed over, and deletes the oldest records. So of all
 *    claims that are ever sent for an attempt at a tick, by whomever and whenever they arrive, one is accepted.
 * 2. A claim of a request compares the request in the place of 1's last tick, and deletes it; one of a further attempt compares the record
 *    of the attempt before, and marks it abandoned.
 * 3. close: the record is as it was put. So a run that ends after its leader was lost is still recorded as it ended, unless the next
 *    leader has called it abandoned before.
 *
 * The revision of a claim is in the token of its run: tokens rise from claim to claim. The operator's epoch, the other part of a token,
 * is compared, too, since the answer of a claim that was recognised afterwards could not tell it.
 */
import { readEpoch } from '../queue/epoch.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Committed, Operations } from '../session/operations.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { Compare, Operation, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import type { Stretch } from './cadence.ts';
import type { JobKeys, JobState, OpenRun } from './job-view.ts';
import type { Plan } from './policy.ts';
import {
  missedKey,
  runKey,
  sealMissed,
  tokenOf,
  type RunRecord,
  type Settled,
  type StoredRun,
  type Trigger,
} from './record.ts';

/** What a leader's writes rest on. */
export interface Standing {
  /** That it leads. */
  readonly leads: readonly Compare[];
  readonly epoch: Epoch;
}

export interface Epoch {
  readonly value: number;
  readonly compare: Compare;
}

/** A run that may begin: nobody else has, or will ever have, this attempt. */
export interface Claimed {
  readonly key: string;
  readonly revision: bigint;
  readonly run: StoredRun;
  readonly token: bigint;
}

/** What was written at a revision, or refused by what stood at it. */
export interface Written {
  readonly revision: bigint;
  readonly succeeded: boolean;
  readonly claimed: Claimed | undefined;
}

/** How a run ended. */
export interface Ending {
  readonly state: Exclude<RunRecord['state'], 'started'>;
  readonly durationMs: number;
  readonly error?: string;
  readonly isRetryDue?: true;
}

/** A transaction of 128 operations is refused; after the limit was lowered, a few claims tidy up. */
const PRUNED_AT_ONCE = 50;

export class Ledger {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #operations: Operations;
  readonly #keys: JobKeys;
  readonly #options: { readonly instanceId: string; readonly epochKey: string; readonly historyLimit: number };

  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    operations: Operations,
    keys: JobKeys,
    options: { readonly instanceId: string; readonly epochKey: string; readonly historyLimit: number },
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#operations = operations;
    this.#keys = keys;
    this.#options = options;
  }

  /** The epoch, through raft, and the compare that it is still the same. */
  async epoch(signal: AbortSignal): Promise<Epoch> {
    const { epochKey: key } = this.#options;
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    const read = () => this.#store.transact(rangeThroughRaft({ key }), call);
    const { responses } = await repeat(this.#runtime, this.#repetition, read, { signal });
    const [entry] = entriesOf(responses[0]);
    return { value: readEpoch(key, entry), compare: { key, target: 'mod', is: '=', than: entry?.modRevision ?? 0n } };
  }

  /** Ticks count from here on. What was due before by a pattern that is not the job's any more is recorded as missed. */
  begin(
    state: JobState,
    standing: Standing,
    settled: Settled,
    missed: Stretch | undefined,
    signal: AbortSignal,
  ): Promise<Written> {
    const compare = [...standing.leads, this.#isSettledAsKnown(state)];
    return this.#write(compare, [this.#settle(settled), ...this.#miss(missed)], state, signal);
  }

  /** 1. With nothing to start it only records what is missed. */
  claim(
    state: JobState,
    standing: Standing,
    plan: Plan,
    settled: Settled,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Written> {
    const compare = [...standing.leads, this.#isNotPaused(), this.#isSettledAsKnown(state)];
    const then = [this.#settle(settled), ...this.#miss(plan.missed)];
    if (plan.start === undefined) return this.#write(compare, then, state, signal);
    const run = this.#newRun(standing, { scheduledForMs: plan.start, attempt: 1, trigger: 'schedule' }, nowMs);
    return this.#start(compare, then, standing, run, state, signal);
  }

  /** 2. The request has to be there. */
  claimRequest(
    state: JobState,
    standing: Standing,
    request: NonNullable<JobState['request']>,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Written> {
    const { trigger: key } = this.#keys;
    const isThisRequest: Compare = { key, target: 'mod', is: '=', than: request.modRevision };
    const compare = [...standing.leads, this.#isNotPaused(), isThisRequest];
    const run = this.#newRun(standing, { scheduledForMs: request.atMs, attempt: 1, trigger: 'manual' }, nowMs);
    return this.#start(compare, [{ type: 'delete', key }], standing, run, state, signal);
  }

  /** 2. The next attempt at a tick whose leader was lost. */
  claimRetry(
    state: JobState,
    standing: Standing,
    before: OpenRun,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Written> {
    const compare = [...standing.leads, this.#isNotPaused(), isAsKnown(before.key, before.modRevision)];
    const { scheduledForMs, attempt, trigger } = before.run;
    const run = this.#newRun(standing, { scheduledForMs, attempt: attempt + 1, trigger }, nowMs);
    return this.#start(compare, [abandonment(before)], standing, run, state, signal);
  }

  /** A run of a leader that was lost, which nobody will say anything of any more. */
  abandon(state: JobState, standing: Standing, lost: OpenRun, signal: AbortSignal): Promise<Written> {
    const compare = [...standing.leads, isAsKnown(lost.key, lost.modRevision)];
    return this.#write(compare, [abandonment(lost)], state, signal);
  }

  /** 3. By whoever ran it, leader or not. */
  close({ key, revision, run }: Claimed, ending: Ending, signal: AbortSignal): Promise<Committed> {
    const value = JSON.stringify({ ...run, ...ending });
    return this.#operations.commit(
      { compare: [isAsKnown(key, revision)], then: [{ type: 'put', key, value }] },
      signal,
    );
  }

  async #start(
    compare: readonly Compare[],
    then: readonly Operation[],
    standing: Standing,
    run: StoredRun,
    state: JobState,
    signal: AbortSignal,
  ): Promise<Written> {
    const key = runKey(this.#keys.history, run);
    const isNew: Compare = { key, target: 'create', is: '=', than: 0n };
    const put: Operation = { type: 'put', key, value: JSON.stringify(run) };
    const written = await this.#write([...compare, standing.epoch.compare, isNew], [...then, put], state, signal);
    if (!written.succeeded) return written;
    const { revision } = written;
    return { ...written, claimed: { key, revision, run, token: tokenOf(run, revision) } };
  }

  async #write(
    compare: readonly Compare[],
    then: readonly Operation[],
    state: JobState,
    signal: AbortSignal,
  ): Promise<Written> {
    const { history } = this.#keys;
    const isAdded = ({ key }: { readonly key: string }): boolean => key.startsWith(history) && !state.history.has(key);
    const added = then.filter((operation) => operation.type === 'put' && isAdded(operation)).length;
    const surplus = state.history.size + added - this.#options.historyLimit;
    const pruned = state.prunable.slice(0, Math.max(0, Math.min(surplus, PRUNED_AT_ONCE)));
    /* A key may stand in a transaction once. */
    const kept = new Set(then.flatMap((operation) => ('key' in operation ? [operation.key] : [])));
    const prunes = pruned.filter((key) => !kept.has(key)).map((key): Operation => ({ type: 'delete', key }));
    const { succeeded, revision } = await this.#operations.commit({ compare, then: [...then, ...prunes] }, signal);
    return { succeeded, revision, claimed: undefined };
  }

  #newRun(
    standing: Standing,
    tick: { readonly scheduledForMs: number; readonly attempt: number; readonly trigger: Trigger },
    nowMs: number,
  ): StoredRun {
    const { instanceId } = this.#options;
    return { state: 'started', ...tick, instanceId, epoch: standing.epoch.value, startedAtMs: Math.round(nowMs) };
  }

  #settle(settled: Settled): Operation {
    return { type: 'put', key: this.#keys.last, value: JSON.stringify(settled) };
  }

  #miss(missed: Stretch | undefined): readonly Operation[] {
    if (missed === undefined) return [];
    const value = sealMissed(missed, this.#options.instanceId);
    return [{ type: 'put', key: missedKey(this.#keys.history, missed), value }];
  }

  #isNotPaused(): Compare {
    return { key: this.#keys.paused, target: 'create', is: '=', than: 0n };
  }

  #isSettledAsKnown(state: JobState): Compare {
    return isAsKnown(this.#keys.last, state.settledRevision);
  }
}

function isAsKnown(key: string, modRevision: bigint): Compare {
  return { key, target: 'mod', is: '=', than: modRevision };
}

function abandonment({ key, run }: OpenRun): Operation {
  const state = 'abandoned' satisfies RunRecord['state'];
  return { type: 'put', key, value: JSON.stringify({ ...run, state, isRetryDue: undefined }) };
}
