/** The composition root: with coordinator-parts.ts the only one that knows all parts. */
import { expectDuration, expectOptions, expectSignal, expectText, show } from './arguments.ts';
import type { CacheOptions } from './cache/cache-options.ts';
import type { Cache } from './cache/cache.ts';
import { openCache } from './cache/caches.ts';
import { completeOptions as completeConfigOptions, type ConfigOptions } from './config/config-options.ts';
import { ConfigWriter } from './config/config-writer.ts';
import { Config } from './config/config.ts';
import { Rollout } from './config/rollout.ts';
import type { Json } from './config/schema.ts';
import { completeOptions, type CompleteOptions, type CoordinatorOptions } from './coordinator-options.ts';
import { buildParts, type Parts } from './coordinator-parts.ts';
import { Election } from './election/election.ts';
import { ClosedError, CoordinationUnavailableError } from './errors.ts';
import type { HealthStatus } from './health/health.ts';
import { FencedLock, type LockOptions } from './lock/fenced-lock.ts';
import { LockSet } from './lock/lock-set.ts';
import { ReadWriteLock } from './lock/read-write-lock.ts';
import { Semaphore, type SemaphoreOptions } from './lock/semaphore.ts';
import type { OnceOptions } from './once/once-options.ts';
import { Once } from './once/once.ts';
import type { Turn } from './once/turn.ts';
import type { PartitionsOptions } from './partition/partition-options.ts';
import { Partitions, type PartitionContext } from './partition/partitions.ts';
import { EpochSetting, type SetEpochOptions } from './queue/epoch-setting.ts';
import type { RegistryOptions } from './registry/registry-options.ts';
import { Registry } from './registry/registry.ts';
import { DeadlineReached, settledWithin, withinDeadline } from './runtime/deadline.ts';
import { systemFiles, type Files } from './runtime/files.ts';
import { systemRuntime, type Runtime } from './runtime/runtime.ts';
import type { JobControls } from './schedule/controls.ts';
import type { ScheduleOptions } from './schedule/job-options.ts';
import type { Job } from './schedule/job.ts';
import type { JobReport } from './schedule/roster.ts';
import { Schedules } from './schedule/schedules.ts';
import type { Work } from './schedule/tick.ts';
import type { Sequence } from './sequence/sequence.ts';
import { Calls } from './session/calls.ts';
import { leaseHex } from './session/keyspace.ts';
import { createEtcdStore } from './store/etcd/etcd-store.ts';
import { asPublicError } from './store/store-error.ts';
import type { Store } from './store/store.ts';
import { survey, type Survey } from './survey/survey.ts';

/** How long closing waits for what runs, unless told. */
const DEFAULT_DRAIN_MS = 10_000;

/** A session as its user may see it. */
export interface SessionStatus {
  /** The lease ID in hexadecimal: `etcdctl lease timetolive <lease> --keys`. */
  readonly lease: string;
  /** What the server granted, in milliseconds; it may be more than what was asked for. */
  readonly ttlMs: number;
  /** Milliseconds for which it can be trusted if no further renewal is answered. */
  readonly remainingMs: number;
}

/** Everything that one process coordinates over one namespace of one etcd. It has one lease, whatever number of locks it holds. */
export class Coordinator implements AsyncDisposable {
  readonly #options: CompleteOptions;
  readonly #parts: Parts;
  readonly #once: Once;
  readonly #schedules: Schedules;
  readonly #epoch: EpochSetting;
  readonly #partitions: PartitionContext;
  readonly #cancelStart: () => void;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(runtime: Runtime, store: Store, options: CompleteOptions, files: Files = systemFiles) {
    const { instanceId } = options;
    const expectOpen = (): void => this.#expectOpen();
    const parts = buildParts(runtime, store, options, files, expectOpen);
    this.#options = options;
    this.#parts = parts;
    this.#once = new Once(parts, { instanceId });
    this.#epoch = new EpochSetting(parts);
    this.#schedules = new Schedules(parts, (signal) => parts.keeper.session(signal), { instanceId });
    this.#partitions = { contest: parts, registry: parts, owning: new Map(), expectOpen };
    /* Not in the constructor itself: constructing does no I/O, and what is closed at once never connects. */
    this.#cancelStart = runtime.clock.schedule(0, () => parts.keeper.start());
  }

  /** Who we are, for whoever asks who holds what. */
  get instanceId(): string {
    return this.#options.instanceId;
  }

  /** The state of the contact with etcd, now. No I/O. See docs/degraded-mode.md for what each state means. */
  get health(): HealthStatus {
    return this.#parts.health.status;
  }

  /**
   * The lease that everything held rests on, as etcd's tools print it, and the TTL that the server *granted*; `undefined` while there is
   * none that can be trusted. No I/O.
   */
  get session(): SessionStatus | undefined {
    const session = this.#parts.keeper.current;
    if (session === undefined) return undefined;
    return { lease: leaseHex(session.lease), ttlMs: session.ttlMs, remainingMs: session.remainingMs() };
  }

  /** The current status first, then each change of state, conflated to the newest for a slow reader. Ends when the coordinator closes. */
  watchHealth(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<HealthStatus> {
    expectOptions('watchHealth', options, ['signal']);
    return this.#parts.health.watch(expectSignal(options.signal));
  }

  /**
   * Resolves at the first contact with etcd; optional. Rejects with CoordinationUnavailableError after `timeoutMs` (default: the
   * request's deadline), and at once with what etcd refuses for good (AccessDeniedError, a TLS mistake).
   */
  async ready(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    const { timeoutMs = this.#options.deadlineMs } = options;
    expectDuration('timeoutMs', timeoutMs);
    this.#expectOpen();
    try {
      await withinDeadline(this.#parts.runtime.clock, timeoutMs, expectSignal(options.signal), (signal) =>
        this.#parts.keeper.session(signal),
      );
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw asPublicError(error, 'reach etcd');
      const { reason } = this.#parts.health;
      const { endpoints, discovery } = this.#options;
      const places = discovery?.srv === undefined ? endpoints : [...endpoints, `what DNS names for ${discovery.srv}`];
      throw new CoordinationUnavailableError(
        `No contact with etcd at ${places.join(', ')} within ${timeoutMs} ms${reason === undefined ? '' : `: ${reason}`}. ` +
          'The coordinator goes on trying.',
        { cause: error },
      );
    }
  }

  /**
   * A lock over all processes of the namespace that use the same name. No I/O; as many objects as you like. Throws a TypeError or RangeError for what
   * cannot be a name and for options that cannot work.
   */
  lock(name: string, options: LockOptions = {}): FencedLock {
    return new FencedLock(this.#parts, name, options);
  }

  /**
   * Several locks, taken in one fixed order. A name that is given twice counts once. No I/O. Throws as {@link lock} does, and a TypeError for no name
   * at all.
   */
  lockAll(names: readonly string[], options: LockOptions = {}): LockSet {
    if (!Array.isArray(names) || names.length === 0) {
      throw new TypeError(`Expected the names of lockAll to be a list of at least one, got ${show(names)}`);
    }
    for (const name of names as readonly string[]) expectText('the name of the lock', name);
    /* By code units: every process has to come to the same order, whatever its locale. */
    const ordered = [...new Set<string>(names)].toSorted((a, b) => (a < b ? -1 : 1));
    const locks = ordered.map((name) => this.lock(name, options));
    return new LockSet(this.#parts.runtime, locks);
  }

  /**
   * A number of permits over all processes of the namespace that use the same name. No I/O; as many objects as you like. Throws as {@link lock}
   * does.
   */
  semaphore(name: string, options: SemaphoreOptions): Semaphore {
    return new Semaphore(this.#parts, name, options);
  }

  /**
   * A lock to read together or to write alone, over all processes of the namespace that use the same name. No I/O; as many objects as you like.
   * Throws a TypeError for what cannot be a name.
   */
  readWriteLock(name: string): ReadWriteLock {
    return new ReadWriteLock(this.#parts, name);
  }

  /**
   * Does `work` once over all processes of the namespace that use the same key, and resolves to what it returned, whoever did it: this call,
   * or an earlier one whose record still stands. The result is JSON of at most 64 KiB, or undefined; everybody gets a copy of it. Work that
   * throws is not recorded, and the next call tries again.
   *
   * A process that dies between the effect of the work and its record leaves the work to be done again. Make the effect idempotent by
   * `turn.key`, or guard it by `turn.token`; see docs/once.md.
   *
   * Rejects with the work's error; LockTimeoutError: somebody else is at it; CoordinationUnavailableError: etcd does not answer;
   * `signal.reason`; SelfDeadlockError inside work of the same key; AccessDeniedError; ClosedError. And where the work was done: with
   * LockLostError, a TypeError (the result is no JSON), LimitExceededError or CoordinationUnavailableError if it is not recorded, and with
   * OutcomeUnknownError if nobody knows whether it is.
   */
  once<T>(key: string, work: (turn: Turn) => Promise<T> | T, options: OnceOptions = {}): Promise<T> {
    return this.#once.do(key, work, options);
  }

  /**
   * Takes back the record of what was done once: the next call of {@link once} with that key does the work again. For an operator, after a
   * wrong result. Work that is under way is not told. Rejects with CoordinationUnavailableError, AccessDeniedError, and
   * OutcomeUnknownError where it was sent and not answered.
   */
  forgetOnce(key: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#once.forget(key, options);
  }

  /**
   * An election over all processes of the namespace that use the same name. No I/O; as many objects as you like. Throws a TypeError for what cannot be
   * a name.
   */
  election(name: string): Election {
    return new Election(this.#parts, name);
  }

  /**
   * Work that is started at each tick of a cron pattern by one of the processes that schedule it under the same name. Begins at once, in
   * the background, and goes on until the job is stopped or the coordinator closes. At most one *start* is accepted for each tick and
   * attempt; for effects that happen exactly once see docs/schedules.md. Throws a TypeError or RangeError for a pattern or options that
   * cannot work, and for a name that this coordinator has scheduled already.
   */
  schedule(name: string, pattern: string, work: Work, options: ScheduleOptions = {}): Job {
    this.#expectOpen();
    return this.#schedules.open(name, pattern, work, options);
  }

  /**
   * What any process may ask of a job or tell it, whoever runs it: its history and status, to run now, to pause, to resume. This process takes
   * no part in the job by it. No I/O; as many objects as you like. Throws a TypeError for what cannot be a name.
   */
  jobControls(name: string): JobControls {
    return this.#schedules.controls(name);
  }

  /**
   * The jobs of the namespace, those that somebody schedules now and those that somebody once did, by their names. Read through raft, in a
   * few calls. Rejects with CoordinationUnavailableError, AccessDeniedError, `signal.reason`.
   */
  jobs(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly JobReport[]> {
    return this.#schedules.reports(options);
  }

  /**
   * The operator's epoch of the namespace, the highest bits of every fencing token; 0 where none was set. Read through raft. Rejects with
   * CoordinationUnavailableError, AccessDeniedError, `signal.reason`.
   */
  epoch(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#epoch.get(options);
  }

  /**
   * Sets the epoch, 0 to 255: for an operator, after a restore that took etcd's revisions back, before the clients come back, to more than was
   * ever in use; see docs/restore.md. One compare-and-set. Rejects with VersionConflictError if that would lower it and `force` is not set,
   * or if somebody else set it at the same time; CoordinationUnavailableError, OutcomeUnknownError, AccessDeniedError, `signal.reason`;
   * a RangeError or TypeError for what is no epoch.
   */
  setEpoch(epoch: number, options: SetEpochOptions = {}): Promise<void> {
    return this.#epoch.set(epoch, options);
  }

  /**
   * The keys under a prefix, kept in memory: read without I/O, with their age and revision. Begins to follow them at once; with
   * `keys: 'on-demand'` it follows those that are read, each from its first `read` until it is the one whose use is longest ago. `routes/`
   * and `routes/eu/` are caches of their own, the first one containing the second. Throws a TypeError or RangeError for options that
   * cannot work.
   */
  cache(prefix: string, options: CacheOptions = {}): Cache {
    this.#expectOpen();
    return openCache(this.#parts, prefix, options);
  }

  /**
   * Who is there under a name: members register themselves for as long as they are ready, and everybody else reads from memory. Begins
   * to follow them at once. Throws a TypeError or RangeError for options that cannot work.
   */
  registry(name: string, options: RegistryOptions = {}): Registry {
    this.#expectOpen();
    return new Registry(this.#parts, name, options);
  }

  /**
   * Work that is spread over all processes of the namespace that own partitions of the same name. No I/O; as many objects as you like. Throws
   * a TypeError or RangeError for options that cannot work.
   */
  partitions(name: string, options: PartitionsOptions): Partitions {
    return new Partitions(this.#partitions, name, options);
  }

  /**
   * A config entry: a JSON value with versions, kept in memory and checked by a schema. Begins to follow it at once. Throws a
   * TypeError, RangeError or ConfigInvalidError for options that cannot work.
   */
  config<Input = Json, Output = Input>(
    name: string,
    options: ConfigOptions<Input, Output> = {},
  ): Config<Input, Output> {
    this.#expectOpen();
    const { keyspace, instanceId, deadlineMs } = this.#options;
    const { runtime, store, replicas, operations, health, repetition, opened } = this.#parts;
    const keys = keyspace.config(name);
    const complete = completeConfigOptions(name, options);
    const writer = new ConfigWriter(runtime, store, repetition, operations, keys, {
      name,
      instanceId,
    });
    const rollout = new Rollout(runtime, operations, writer, { prefix: keys.rollout, instanceId });
    const onClose = (): void => {
      opened.delete(config);
    };
    const context = { runtime, replicas, health, writer, rollout, keys, deadlineMs, onClose };
    const config = new Config<Input, Output>(context, name, complete);
    opened.add(config);
    return config;
  }

  /**
   * What the whole namespace is about, at one revision: who is there, who holds what and who waits, who leads, who has registered, how far each
   * config has come. One transaction through raft that reads every queue: for people and dashboards. Rejects with
   * CoordinationUnavailableError after the request's deadline, AccessDeniedError, ClosedError, `signal.reason`.
   */
  async survey(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Survey> {
    expectOptions('survey', options, ['signal']);
    this.#expectOpen();
    const { runtime, store, repetition, keyspace } = this.#parts;
    return new Calls(this.#parts).within('survey the namespace', options.signal, (signal) =>
      survey(runtime, store, repetition, keyspace, signal),
    );
  }

  /**
   * Closes: takes nothing new, tells what runs under a lock to stop (ClosedError on its signal), waits for it for at most `drainMs`
   * (default 10,000), releases, revokes the lease. What will not end in time keeps its key until the lease ends by itself: nothing is
   * ever released under running work. Idempotent; never rejects. Fit for a SIGTERM handler.
   */
  close(options: { readonly drainMs?: number | undefined } = {}): Promise<void> {
    expectOptions('close', options, ['drainMs']);
    const { drainMs = DEFAULT_DRAIN_MS } = options;
    expectDuration('drainMs', drainMs);
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  /** Closes, with the default `drainMs`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(drainMs: number): Promise<void> {
    this.#cancelStart();
    /* Before anything else, so that nobody is sent here any more while work comes to its end. */
    const { runtime, registrations, queue, opened, replicas, keeper, health, store } = this.#parts;
    const leaving = Promise.all(
      [...registrations].filter(({ leavesFirst }) => leavesFirst).map((each) => each.leave().catch(() => {})),
    );
    const closed = new ClosedError('The coordinator is closed.');
    /* Together, so that both have the whole of the time: jobs stop before they could campaign again. */
    const [, drained] = await Promise.all([this.#schedules.close(closed, drainMs), queue.close(closed, drainMs)]);
    if (!drained) {
      runtime.logger.warn('Work did not end in time; its keys stay until the lease ends', {
        event: 'coordinator.undrained',
        drainMs,
      });
      /* Nothing else takes them back before the lease's end. */
      await settledWithin(runtime.clock, this.#options.timeoutMs, leaving).catch(() => {});
    }
    for (const registration of registrations) registration.end();
    await Promise.all([...opened].map((open) => open.close()));
    await replicas.close();
    await keeper.close({ revoke: drained });
    health.close();
    await store.close();
  }

  #expectOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError('The coordinator is closed.');
  }
}

/**
 * A coordinator. No I/O happens here: a process may start while etcd is down. It connects in the background, and goes on until it is
 * closed. Throws a TypeError or a RangeError for options that cannot work.
 */
export function createCoordinator(options: CoordinatorOptions = {}): Coordinator {
  const complete = completeOptions(options);
  const runtime = systemRuntime(complete.logger);
  const { endpoints, discovery, auth, tls } = complete;
  return new Coordinator(runtime, createEtcdStore(runtime, { endpoints, discovery, auth, tls }), complete);
}
