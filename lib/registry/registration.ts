import { expectDuration, expectOptions, expectSignal } from '../arguments.ts';
import { ClosedError, CoordinationUnavailableError } from '../errors.ts';
import { onAbort } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import { DeadlineReached, withinDeadline } from '../runtime/deadline.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { textOf } from '../runtime/thrown.ts';
import { Latest } from '../sequence/latest.ts';
import { mapped } from '../sequence/mapped.ts';
import type { Sequence } from '../sequence/sequence.ts';
import { leaseHex } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import { Publication } from '../session/publication.ts';
import { StoreError } from '../store/store-error.ts';
import { sealMember } from './member.ts';
import { expectMetadata, type CompleteRegisterOptions } from './registry-options.ts';

/** How a registration stands. */
export interface RegistrationStatus {
  /**
   * `checking`: no check has come out yet. `unready`: the check fails, so it is not registered. `joining`: it is ready, and is not registered
   * yet, or not any more since the session was lost. `registered`: others can see it. `left`: for good.
   */
  readonly state: 'checking' | 'unready' | 'joining' | 'registered' | 'left';
  /** Why it is not ready, or why it could not be registered yet. */
  readonly reason?: string;
}

/** What the registrations of one coordinator share. */
export interface RegistrationContext {
  readonly runtime: Runtime;
  readonly operations: Operations;
  readonly instanceId: string;
  readonly deadlineMs: number;
  /** Those that stand, for a closing coordinator to end. */
  readonly registrations: Set<{ readonly leavesFirst: boolean; leave(): Promise<void>; end(): void }>;
  /** Whether a closing coordinator takes them back before its work has ended. */
  readonly leavesFirst: boolean;
}

/** What the last checks have come to. */
interface Readiness {
  readonly isReady: boolean;
  /** Of the last check that failed. */
  readonly reason: string | undefined;
}

/** One member's being there, from `register` to {@link leave}. It stands on the session's lease: a process that vanishes is gone with it. */
export class Registration implements AsyncDisposable {
  /** @internal */
  readonly leavesFirst: boolean;
  readonly #context: RegistrationContext;
  readonly #name: string;
  readonly #options: CompleteRegisterOptions;
  readonly #publication: Publication;
  readonly #left = new AbortController();
  readonly #status: Latest<RegistrationStatus>;
  readonly #stopListening: () => void;
  #readiness: Readiness;
  #metadata: Readonly<Record<string, string>>;
  /** The store has said so. */
  #isTakenBack = false;

  /** @internal */
  constructor(context: RegistrationContext, prefix: string, name: string, options: CompleteRegisterOptions) {
    const { runtime, operations, registrations } = context;
    this.leavesFirst = context.leavesFirst;
    this.#context = context;
    this.#name = name;
    this.#options = options;
    this.#metadata = options.metadata;
    const nonce = runtime.random.bits64().toString(36);
    this.#publication = new Publication(runtime, operations, {
      keyOn: (session) => `${prefix}${leaseHex(session.lease)}-${nonce}`,
      paceMs: 0,
    });
    this.#readiness = { isReady: options.check === undefined, reason: undefined };
    this.#status = new Latest<RegistrationStatus>({ state: this.#state() });
    this.#publication.subscribe(() => this.#look());
    registrations.add(this);
    this.#publish();
    this.#stopListening = onAbort(options.signal, () => void this.leave().catch(() => {}));
    if (options.check !== undefined) void this.#keepChecking(options.check).catch(() => {});
  }

  /** How it stands now. No I/O. */
  get status(): RegistrationStatus {
    return this.#status.value;
  }

  /** @internal What etcd refuses for good: somebody has to mend it. It goes on trying. */
  get refusal(): StoreError | undefined {
    const { failure } = this.#publication;
    const isRefused = failure instanceof StoreError && ['denied', 'unauthenticated'].includes(failure.reason);
    return isRefused && failure.outcome === 'permanent' ? failure : undefined;
  }

  /** How it stands, then each change, conflated to the newest for a slow reader. Ends once it has left. */
  watch(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<RegistrationStatus> {
    expectOptions('watch', options, ['signal']);
    return mapped(this.#status.watch(expectSignal(options.signal)), (value) => ({ value }));
  }

  /**
   * Resolves once it is registered. Rejects with CoordinationUnavailableError after `timeoutMs` (default: the request's deadline); it goes
   * on trying. ClosedError if it has left.
   */
  async registered(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    expectOptions('registered', options, ['timeoutMs', 'signal']);
    const { timeoutMs = this.#context.deadlineMs } = options;
    expectDuration('timeoutMs', timeoutMs);
    await this.#until('registered', timeoutMs, expectSignal(options.signal), 'It goes on trying.');
  }

  /** Says something else of itself from now on, under the same registration. Throws a TypeError, LimitExceededError, ClosedError. */
  update(metadata: Readonly<Record<string, string>>): void {
    if (this.#left.signal.aborted) throw this.#closedError();
    const { instanceId } = this.#context;
    const next = expectMetadata(metadata);
    sealMember({ instanceId, address: this.#options.address, metadata: next });
    this.#metadata = next;
    this.#publish();
  }

  /**
   * Takes the registration back, and resolves when the store has: those who follow it know within a delivery then. Leave before you close
   * the socket. Idempotent. Rejects with CoordinationUnavailableError if etcd does not answer within the request's deadline; it is
   * repeated in the background then, for as long as the coordinator lives, and gone with its lease at the latest. ClosedError if the coordinator closed before it did.
   */
  async leave(): Promise<void> {
    this.withdraw();
    await this.#until(
      'left',
      this.#context.deadlineMs,
      undefined,
      'It is repeated for as long as the coordinator lives, and is gone with its lease.',
    );
    if (!this.#isTakenBack) {
      throw new ClosedError(
        `The coordinator was closed before ${this.#name} had taken the member ${this.#options.address} back. It is gone with its lease.`,
      );
    }
  }

  /** Leaves, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }

  /** @internal Takes it back in the background. */
  withdraw(): void {
    if (this.#left.signal.aborted) return;
    this.#left.abort(this.#closedError());
    this.#stopListening?.();
    this.#publish();
  }

  /** @internal Nothing more is done for it. */
  end(): void {
    this.#context.registrations.delete(this);
    this.#publication.close();
    this.#status.set({ state: 'left' });
    this.#status.close();
  }

  #publish(): void {
    const { instanceId } = this.#context;
    const { address } = this.#options;
    const isWanted = this.#readiness.isReady && !this.#left.signal.aborted;
    this.#publication.say(isWanted ? sealMember({ instanceId, address, metadata: this.#metadata }) : undefined);
    this.#look();
  }

  #look(): void {
    const state = this.#state();
    if (state === 'left' && !this.#isTakenBack && this.#publication.isSaid) {
      /* Also where whoever asked for it has long been told that it took too long. */
      this.#isTakenBack = true;
      this.end();
      return;
    }
    const reasons = { unready: this.#readiness.reason, joining: this.#publication.failure?.message };
    const reason = state === 'unready' || state === 'joining' ? reasons[state] : undefined;
    const known = this.#status.value;
    if (known.state === state && known.reason === reason) return;
    this.#status.set(reason === undefined ? { state } : { state, reason });
  }

  #state(): RegistrationStatus['state'] {
    const { isReady, reason } = this.#readiness;
    const { isSaid, revision } = this.#publication;
    /* Until the store has taken it back, it is still there for others. */
    if (this.#left.signal.aborted) return isSaid ? 'left' : this.#status.value.state;
    if (isReady) return revision === undefined ? 'joining' : 'registered';
    return reason === undefined ? 'checking' : 'unready';
  }

  async #keepChecking(check: NonNullable<CompleteRegisterOptions['check']>): Promise<void> {
    const { clock, random, logger } = this.#context.runtime;
    const { checkEveryMs, unreadyAfter } = this.#options;
    const { signal } = this.#left;
    for (let failures = 0; ;) {
      const reason = await this.#checkOnce(check);
      signal.throwIfAborted();
      failures = reason === undefined ? 0 : failures + 1;
      const wasReady = this.#readiness.isReady;
      const isReady = reason === undefined || (wasReady && failures < unreadyAfter);
      this.#readiness = { isReady, reason };
      if (wasReady && !isReady) {
        logger.warn('A member is not ready any more and is withdrawn', {
          event: 'registry.unready',
          registry: this.#name,
          reason,
        });
      }
      this.#publish();
      await sleep(clock, checkEveryMs * (1 - 0.1 * random.uniform()), signal);
    }
  }

  /** Why it is not ready, if it is not. */
  async #checkOnce(check: NonNullable<CompleteRegisterOptions['check']>): Promise<string | undefined> {
    const { clock } = this.#context.runtime;
    try {
      const verdict = await withinDeadline(clock, this.#options.checkTimeoutMs, this.#left.signal, async (signal) =>
        check({ signal }),
      );
      return verdict === false ? 'the check said no' : undefined;
    } catch (error) {
      return textOf(error);
    }
  }

  async #until(
    state: 'registered' | 'left',
    timeoutMs: number,
    caller: AbortSignal | undefined,
    then: string,
  ): Promise<void> {
    const { clock } = this.#context.runtime;
    try {
      await withinDeadline(clock, timeoutMs, caller, async (signal) => {
        for await (const status of this.#status.watch(signal)) {
          if (status.state === state) return;
          if (status.state === 'left') throw this.#closedError();
        }
      });
    } catch (error) {
      if (!(error instanceof DeadlineReached)) throw error;
      const { state: now, reason } = this.#status.value;
      throw new CoordinationUnavailableError(
        `The member ${this.#options.address} of ${this.#name} was not ${state} within ${timeoutMs} ms: it is ` +
          `${now}${reason === undefined ? '' : ` (${reason})`}. ${then}`,
        { cause: error },
      );
    }
  }

  #closedError(): ClosedError {
    return new ClosedError(`The member ${this.#options.address} has left ${this.#name}.`);
  }
}
