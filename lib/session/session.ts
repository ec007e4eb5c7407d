/**
 * A session: one lease, kept alive, for everything that a coordinator holds.
 *
 * Guarantees. `isValid()` is true only while the lease exists at the server, up to the limits below: validity ends
 * `marginMs` before the moment at which the server could expire the lease, counted from *before sending* the last answered renewal,
 * with the TTL that was *granted*. The session is lost at once when a renewal answers that the lease is gone, or the session's key is
 * deleted. What was lost is never revived: a renewal that is answered too late ends the session even if the server renewed the lease.
 *
 * Not guaranteed. A blocked event loop delivers the loss late (`isValid()` reads the clock and is right). A pause of the whole
 * machine that stops wall time too cannot be seen. A deposed etcd leader can answer a renewal that its successor does not know of:
 * the lease then ends up to an election earlier than believed. Only a guard at the resource covers these.
 *
 * Protocol.
 * 1. open: grant a lease whose ID we choose, so that a repeated grant is recognised ("already exists") and orphans nothing.
 * 2. name: put the session key, on the lease. Its mod revision is the session's *generation*, which every enqueue compares.
 * 3. renew: at once, and then every third of the TTL, on a path of its own; quicker after a failure.
 * 4. audit: now and then, the keys on the lease are compared with those that local operations own; see audit.ts.
 * 5. lose: once, for one reason; owners are told synchronously.
 */
import { fullJitterMs } from '../resilience/backoff.ts';
import { onAbort } from '../runtime/abort.ts';
import { elapsedMs, sleep, type Instant } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { StoreError } from '../store/store-error.ts';
import type { Store } from '../store/store.ts';
import { untilDeleted } from '../store/until-deleted.ts';

/** An operation that has a key on the session's lease. */
export interface KeyOwner {
  readonly key: string;
  /** The key's create revision once it is known to exist and is expected to stay. */
  readonly createRevision: bigint | undefined;
  /** The key, or the whole session, is gone. Called at most once for each loss, synchronously. */
  lost(reason: Error): void;
}

export interface SessionOptions {
  readonly marginMs: (grantedTtlMs: number) => number;
  /** One attempt's deadline, in milliseconds. */
  readonly attemptTimeoutMs: number;
}

export interface SessionIdentity {
  readonly lease: bigint;
  /** The session's own key. */
  readonly key: string;
  /** What stands in it: who we are, for whoever asks who holds what. */
  readonly value: string;
}

/** What a session reports to the health of its coordinator. */
export interface ContactListener {
  contact(sentAt: Instant, grantedTtlMs: number): void;
  failure(reason: string): void;
}

/** After a failed renewal the next is tried soon, then less so: most failures are short. */
const RENEWAL_BACKOFF = { baseMs: 100, capMs: 1_000 };

/** Probes closer together than this learn nothing new. */
const PROBE_INTERVAL_MS = 500;

export class Session {
  readonly identity: SessionIdentity;
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #options: SessionOptions;
  readonly #health: ContactListener;
  readonly #owners = new Map<string, KeyOwner>();
  readonly #lost = new AbortController();
  #ttlMs: number;
  #renewedAt: Instant;
  #generation = 0n;
  /** The clock has once said that the validity was over. A wall clock that is set back does not revive it. */
  #lapsed = false;
  #hasOwned = false;
  #cancelDeadline: () => void = () => {};
  #wakeRenewal: () => void = () => {};
  /** Told of each answered renewal; the audit hangs on it. */
  onRenewed: (afterFailure: boolean) => void = () => {};

  /** `grantedAt` is when the answered grant or renewal was *sent*. */
  constructor(
    runtime: Runtime,
    store: Store,
    health: ContactListener,
    identity: SessionIdentity,
    granted: { readonly at: Instant; readonly ttlMs: number },
    options: SessionOptions,
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#health = health;
    this.identity = identity;
    this.#options = options;
    this.#ttlMs = granted.ttlMs;
    this.#renewedAt = granted.at;
    this.#armDeadline();
    void this.#renewWhileAlive();
  }

  get lease(): bigint {
    return this.identity.lease;
  }

  /** The TTL that the server granted, in milliseconds. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** Aborts when the session is lost, with the error as its reason. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Mod revision of the session key. An enqueue that compares an older one can never be applied. */
  get generation(): bigint {
    return this.#generation;
  }

  /** The owners of keys on this lease. */
  get owners(): ReadonlyMap<string, KeyOwner> {
    return this.#owners;
  }

  /** Whether there ever was a key on this lease beside the session's own. */
  get hasOwned(): boolean {
    return this.#hasOwned;
  }

  /** Milliseconds until this session must not be trusted any more; 0 when it is lost. Reads the clock. */
  remainingMs(): number {
    if (this.#lapsed || this.#lost.signal.aborted) return 0;
    const leftMs = this.#validForMs() - elapsedMs(this.#renewedAt, this.#runtime.clock.now());
    if (leftMs > 0) return leftMs;
    this.#lapsed = true;
    this.#armDeadline();
    return 0;
  }

  isValid(): boolean {
    return this.remainingMs() > 0;
  }

  /** Milliseconds until the server, too, must have expired the lease, as far as our renewals tell; at most one TTL. */
  expiresInMs(): number {
    return Math.max(0, this.#ttlMs - elapsedMs(this.#renewedAt, this.#runtime.clock.now()));
  }

  /** A newer generation was seen in an answer. Older ones are ignored: answers overtake each other. */
  advance(generation: bigint): void {
    if (generation > this.#generation) this.#generation = generation;
  }

  /** The owner of a key on a session that is lost already learns it before this returns. */
  own(owner: KeyOwner): void {
    this.#hasOwned = true;
    if (this.#lost.signal.aborted) owner.lost(this.#lost.signal.reason as Error);
    else this.#owners.set(owner.key, owner);
  }

  disown(owner: KeyOwner): void {
    if (this.#owners.get(owner.key) === owner) this.#owners.delete(owner.key);
  }

  /**
   * Something failed elsewhere: find out now whether there is contact, not at the next regular renewal. A renewal that was answered
   * a moment ago has told already, so a thousand failures cost one renewal.
   */
  probe(): void {
    if (elapsedMs(this.#renewedAt, this.#runtime.clock.now()) >= PROBE_INTERVAL_MS) this.#wakeRenewal();
  }

  /** Ends the session, once. Owners learn it before this returns. The lease itself is the keeper's to revoke. */
  lose(reason: Error): void {
    if (this.#lost.signal.aborted) return;
    this.#cancelDeadline();
    this.#lost.abort(reason);
    for (const owner of [...this.#owners.values()]) owner.lost(reason);
    this.#owners.clear();
  }

  /** Watches the session key: somebody who deletes it, or revokes the lease, is noticed within one delivery. */
  async watchOwnKey(): Promise<void> {
    const life = { key: this.identity.key, createRevision: this.#generation };
    const options = { timeoutMs: this.#options.attemptTimeoutMs, signal: this.signal };
    try {
      await untilDeleted(this.#runtime, this.#store, life, this.#generation, options);
      this.lose(new Error('the session key was deleted: the lease was revoked, or somebody removed the key'));
    } catch (error) {
      if (this.signal.aborted) return;
      /* Without this watch a deletion is found by the next renewal or audit instead. */
      this.#runtime.logger.warn('The session key cannot be watched', {
        event: 'session.unwatched',
        error: String(error),
      });
    }
  }

  async #renewWhileAlive(): Promise<void> {
    /* The first at once, so that the path of renewals is up before a burst of other calls can delay it. Its failure says nothing yet. */
    await this.#renew(false).catch(() => {});
    for (let failures = 0; !this.signal.aborted;) {
      await this.#untilRenewalIsDue(failures);
      if (this.signal.aborted) return;
      try {
        await this.#renew(failures > 0);
        failures = 0;
      } catch (error) {
        if (this.signal.aborted) return;
        failures += 1;
        this.#health.failure(error instanceof Error ? error.message : String(error));
      }
    }
  }

  async #renew(afterFailure: boolean): Promise<void> {
    const sentAt = this.#runtime.clock.now();
    const { ttlMs } = await this.#store.renew(this.lease, {
      timeoutMs: Math.min(this.#options.attemptTimeoutMs, this.#ttlMs / 4),
      signal: this.signal,
    });
    this.#renewed(sentAt, ttlMs, afterFailure);
  }

  #renewed(sentAt: Instant, ttlMs: number, afterFailure: boolean): void {
    if (ttlMs <= 0) {
      this.lose(new Error('etcd answered that the lease is gone'));
      return;
    }
    this.#health.contact(sentAt, ttlMs);
    /* A late answer never revives what has, by the clock, been reported as lost. */
    if (!this.isValid()) {
      this.#expire();
      return;
    }
    this.#renewedAt = sentAt;
    this.#ttlMs = ttlMs;
    this.#armDeadline();
    this.onRenewed(afterFailure);
  }

  async #untilRenewalIsDue(failures: number): Promise<void> {
    const waitMs =
      failures === 0
        ? (this.#ttlMs / 3) * (0.9 + 0.1 * this.#runtime.random.uniform())
        : fullJitterMs(failures - 1, RENEWAL_BACKOFF, () => this.#runtime.random.uniform());
    const woken = new AbortController();
    /* A probe cuts the regular wait short, never the backoff after a failure. */
    this.#wakeRenewal = failures === 0 ? () => woken.abort() : () => {};
    const stop = onAbort(this.signal, () => woken.abort());
    await sleep(this.#runtime.clock, waitMs, woken.signal).catch(() => {});
    stop();
    this.#wakeRenewal = () => {};
  }

  #validForMs(): number {
    return this.#ttlMs - this.#options.marginMs(this.#ttlMs);
  }

  #armDeadline(): void {
    this.#cancelDeadline();
    /* Whole milliseconds: what is left can be so little that adding it to the time changes nothing, and that for ever. */
    this.#cancelDeadline = this.#runtime.clock.schedule(Math.ceil(this.remainingMs()), () => {
      if (this.signal.aborted) return;
      if (this.isValid()) this.#armDeadline();
      else this.#expire();
    });
  }

  #expire(): void {
    this.lose(
      new Error(`no renewal was answered within the ${this.#validForMs()} ms for which the lease can be trusted`),
    );
  }
}

/** Whether a store failure says that the lease is gone. */
export function saysLeaseIsGone(error: unknown): boolean {
  return error instanceof StoreError && error.reason === 'lease-not-found';
}
