import { ClosedError } from '../errors.ts';
import type { Health } from '../health/health.ts';
import { abortable, onAbort } from '../runtime/abort.ts';
import { elapsedMs, sleep } from '../runtime/clock.ts';
import { tell } from '../runtime/diagnostics.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import { StoreError } from '../store/store-error.ts';
import type { Store } from '../store/store.ts';
import { auditSession } from './audit.ts';
import { leaseHex, type Keyspace } from './keyspace.ts';
import { saysLeaseIsGone, Session } from './session.ts';

export interface KeeperOptions {
  /** What to ask for, in milliseconds; a multiple of 1,000. The server may grant another. */
  readonly ttlMs: number;
  readonly marginMs: (grantedTtlMs: number) => number;
  readonly instanceId: string;
}

/** Audits fall on every third renewal: about once a TTL. */
const RENEWALS_PER_AUDIT = 3;

/** How long to wait before a session is opened again after etcd refused it for good. Somebody has to change something first. */
const REFUSED_WAIT_MS = 5_000;

/** Keeps one session alive for a coordinator, and opens another when it is lost. What the old one held is not taken back. */
export class SessionKeeper {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #health: Health;
  readonly #keyspace: Keyspace;
  readonly #repetition: Repetition;
  readonly #options: KeeperOptions;
  readonly #closed = new AbortController();
  readonly #farewells = new Set<Promise<void>>();
  #session: Session | undefined;
  readonly #waiters = new Set<{
    readonly resolve: (session: Session) => void;
    readonly reject: (error: unknown) => void;
  }>();
  #refusal: StoreError | undefined;
  #run: Promise<void> | undefined;

  constructor(
    runtime: Runtime,
    store: Store,
    health: Health,
    keyspace: Keyspace,
    repetition: Repetition,
    options: KeeperOptions,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#health = health;
    this.#keyspace = keyspace;
    this.#repetition = repetition;
    this.#options = options;
  }

  /** The session, if there is a valid one now. */
  get current(): Session | undefined {
    return this.#session?.isValid() === true ? this.#session : undefined;
  }

  /** Begins to keep a session, in the background. */
  start(): void {
    this.#run ??= this.#keep();
  }

  /**
   * A valid session; waits for one. Rejects with the StoreError of a refusal that waiting does not mend, with `signal.reason`, or
   * with ClosedError.
   */
  session(signal?: AbortSignal): Promise<Session> {
    const { current } = this;
    if (current !== undefined) return Promise.resolve(current);
    if (this.#closed.signal.aborted) return Promise.reject(this.#closed.signal.reason as Error);
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      let stop = (): void => {};
      const settle = (act: () => void): void => {
        this.#waiters.delete(waiter);
        stop();
        act();
      };
      const waiter = {
        resolve: (session: Session) => settle(() => resolve(session)),
        reject: (error: unknown) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
      stop = onAbort(signal, (reason) => settle(() => reject(reason)));
    });
  }

  /** Gives the session up: nothing that it holds can be trusted. Another is opened. */
  giveUp(session: Session, reason: Error): void {
    this.#runtime.logger.error('The session is given up', { event: 'session.given-up', reason: reason.message });
    session.lose(reason);
  }

  /** Gives up whatever session there is. */
  giveUpCurrent(reason: Error): void {
    if (this.#session !== undefined) this.giveUp(this.#session, reason);
  }

  /**
   * Stops. With `revoke` the lease is revoked, and all its keys are gone at once; without, they stay until the lease ends by itself.
   * Takes one attempt's deadline at most, two while a session is being opened.
   */
  async close({ revoke }: { readonly revoke: boolean }): Promise<void> {
    const session = this.#session;
    const error = new ClosedError('The coordinator is closed.');
    this.#closed.abort(error);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    session?.lose(error);
    if (revoke && session !== undefined) {
      await this.#store
        .revoke(session.lease, { timeoutMs: this.#repetition.attemptTimeoutMs })
        .catch((failure: unknown) => this.#unrevoked(session, failure));
    }
    /* A session that was being opened says farewell when it is there, so the farewells are counted after it. */
    await Promise.allSettled([this.#run]);
    await Promise.allSettled([...this.#farewells]);
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        const session = await this.#open(signal);
        if (signal.aborted) {
          session.lose(signal.reason as Error);
          return this.#bidFarewell(session);
        }
        this.#refusal = undefined;
        this.#session = session;
        this.#runtime.logger.info('A session was opened', {
          event: 'session.opened',
          lease: session.lease,
          ttlMs: session.ttlMs,
        });
        tell('session', { is: 'opened', lease: leaseHex(session.lease) });
        for (const waiter of [...this.#waiters]) waiter.resolve(session);
        await ended(session.signal);
        this.#session = undefined;
        if (signal.aborted) return;
        const reason = session.signal.reason as Error;
        this.#runtime.logger.warn('The session was lost', {
          event: 'session.lost',
          lease: session.lease,
          reason: reason.message,
        });
        tell('session', { is: 'lost', lease: leaseHex(session.lease), reason: reason.message });
        this.#bidFarewell(session);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof StoreError && error.outcome === 'permanent' && !saysLeaseIsGone(error)) {
          await this.#refused(error).catch(() => {});
        } else if (!saysLeaseIsGone(error)) {
          this.#runtime.logger.error('A session could not be opened', {
            event: 'session.unopened',
            error: String(error),
          });
          await sleep(this.#runtime.clock, this.#repetition.capMs, signal).catch(() => {});
        }
      }
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    /* 1: a positive ID of 63 bits, never 0, which etcd takes for "choose one". */
    const lease = (this.#runtime.random.bits64() & (2n ** 63n - 1n)) | 1n;
    const { granted, revision } = await this.#grant(lease, signal);
    this.#health.contact(granted.at, granted.ttlMs);
    const identity = {
      lease,
      key: this.#keyspace.session(lease),
      value: JSON.stringify({ instanceId: this.#options.instanceId }),
    };
    const { attemptTimeoutMs } = this.#repetition;
    const session = new Session(this.#runtime, this.#store, this.#health, identity, granted, {
      attemptTimeoutMs,
      marginMs: this.#options.marginMs,
    });
    try {
      await this.#name(session, signal);
    } catch (error) {
      session.lose(error instanceof Error ? error : new Error(String(error)));
      if (!saysLeaseIsGone(error)) this.#bidFarewell(session);
      throw error;
    }
    session.signal.throwIfAborted();
    auditSession(this.#runtime, this.#store, session, { attemptTimeoutMs, everyRenewals: RENEWALS_PER_AUDIT });
    void session.watchOwnKey();
    this.#runtime.logger.debug('The session has its key', { event: 'session.named', revision });
    return session;
  }

  /** 1. Grants, until answered. A repeated grant that "already exists" proves only that; validity starts with an answered renewal. */
  #grant(
    lease: bigint,
    signal: AbortSignal,
  ): Promise<{ granted: { at: ReturnType<Runtime['clock']['now']>; ttlMs: number }; revision: bigint }> {
    let exists = false;
    const options = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    return this.#repeatOpening(signal, async () => {
      const at = this.#runtime.clock.now();
      if (!exists) {
        try {
          const { ttlMs, revision } = await this.#store.grant(lease, this.#options.ttlMs, options);
          return { granted: { at, ttlMs }, revision };
        } catch (error) {
          if (!(error instanceof StoreError) || error.reason !== 'lease-exists') throw error;
          exists = true;
        }
      }
      const sentAt = this.#runtime.clock.now();
      const { ttlMs, revision } = await this.#store.renew(lease, options);
      if (ttlMs <= 0)
        throw new StoreError('lease-not-found', 'permanent', 'the lease ended before its grant was answered');
      return { granted: { at: sentAt, ttlMs }, revision };
    });
  }

  /** 2. Puts the session key. The lease is ours alone, so a key that is there already is our own, from an unanswered attempt. */
  #name(session: Session, signal: AbortSignal): Promise<void> {
    const { key, value, lease } = session.identity;
    return this.#repeatOpening(signal, async () => {
      session.signal.throwIfAborted();
      const answer = await this.#store.transact(
        {
          compare: [{ key, target: 'create', is: '=', than: 0n }],
          then: [{ type: 'put', key, value, lease }],
          otherwise: [{ type: 'range', key }],
        },
        { timeoutMs: this.#repetition.attemptTimeoutMs, signal: session.signal },
      );
      const [found] = answer.responses;
      session.advance(found?.type === 'range' ? (found.entries[0]?.modRevision ?? 0n) : answer.revision);
    });
  }

  #repeatOpening<T>(signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    return repeat(this.#runtime, this.#repetition, step, {
      signal,
      onFailure: (error) => this.#health.failure(error.message),
    });
  }

  async #refused(error: StoreError): Promise<void> {
    this.#runtime.logger.error('etcd refuses a session', {
      event: 'session.refused',
      reason: error.reason,
      error: error.message,
    });
    this.#health.failure(error.message);
    this.#refusal = error;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    await sleep(this.#runtime.clock, REFUSED_WAIT_MS, this.#closed.signal);
  }

  /**
   * Revokes a lost session's lease, but no sooner than it could have ended by itself: work that was told to stop keeps the margin
   * that it was promised. Revoking then only shortens the case of a renewal that was applied and whose answer was lost. Closing does not
   * wait for that moment: it leaves the lease alone, unless nothing was ever held by it.
   */
  #bidFarewell(session: Session): void {
    const { signal } = this.#closed;
    const farewell = (async () => {
      const lostAt = this.#runtime.clock.now();
      await sleep(this.#runtime.clock, session.expiresInMs(), signal).catch(() => {});
      if (session.hasOwned && session.expiresInMs() > 0) {
        return this.#unrevoked(session, 'the coordinator was closed within the margin of what it held');
      }
      const options = { timeoutMs: this.#repetition.attemptTimeoutMs };
      while (elapsedMs(lostAt, this.#runtime.clock.now()) < 2 * session.ttlMs) {
        try {
          await this.#store.revoke(session.lease, options);
          return;
        } catch (error) {
          if (signal.aborted) return this.#unrevoked(session, error);
          await sleep(this.#runtime.clock, this.#repetition.capMs, signal).catch(() => {});
        }
      }
    })();
    this.#farewells.add(farewell);
    void farewell.finally(() => this.#farewells.delete(farewell));
  }

  #unrevoked(session: Session, why: unknown): void {
    this.#runtime.logger.warn('The lease could not be revoked and ends by itself', {
      event: 'session.unrevoked',
      lease: session.lease,
      ttlMs: session.ttlMs,
      reason: String(why),
    });
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return abortable(new Promise<never>(() => {}), signal).catch(() => {});
}
