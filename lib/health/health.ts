/**
 * The state machine of the degraded mode. It is derived from two things alone: the injected clock, and the last contact on the
 * keepalive path, counted from *before sending*. No breaker's state enters it.
 *
 *     starting ──contact──▶ connected ──failure──▶ suspended ──no contact for a lease's validity──▶ degraded
 *        └──no contact for one TTL──▶ degraded          └──contact──▶ connected ◀──contact──┘
 *
 * - starting: no contact yet. - connected: the last renewal was answered. - suspended: renewals fail, what is held is still valid.
 * - degraded: nothing that rests on the lease can be trusted any more; calls fail fast, which is the breaker for etcd.
 */
import { CoordinationUnavailableError } from '../errors.ts';
import { elapsedMs, type Instant } from '../runtime/clock.ts';
import { tell } from '../runtime/diagnostics.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Latest } from '../sequence/latest.ts';
import { mapped } from '../sequence/mapped.ts';
import type { Sequence } from '../sequence/sequence.ts';

/**
 * `starting`: no contact yet. `connected`: the last renewal was answered. `suspended`: renewals fail, and what is held is still valid. `degraded`: there
 * was no contact for longer than a lease lasts, nothing that rests on it can be trusted, and calls fail at once. `closed`: for good. See
 * docs/degraded-mode.md.
 */
export type HealthState = 'starting' | 'connected' | 'suspended' | 'degraded' | 'closed';

/** The contact with etcd. */
export interface HealthStatus {
  /** As of the time of reading. */
  readonly state: HealthState;
  /** Milliseconds since the state was entered, at the time of reading. */
  readonly sinceMs: number;
  /** Milliseconds since the last call that etcd answered was *sent*; `undefined` if none ever was. */
  readonly lastContactMs: number | undefined;
  /** Why the last contact failed, where it did. */
  readonly reason?: string;
}

export interface HealthOptions {
  /** What a lease's validity is at most, before any was granted, in milliseconds. */
  readonly ttlMs: number;
  /** How long before the lease's end it is not trusted any more, for a granted TTL in milliseconds. */
  readonly marginMs: (grantedTtlMs: number) => number;
}

interface Situation {
  readonly state: HealthState;
  readonly since: Instant;
  readonly reason: string | undefined;
}

export class Health {
  readonly #runtime: Runtime;
  readonly #options: HealthOptions;
  readonly #situation: Latest<Situation>;
  readonly #startedAt: Instant;
  #contactAt: Instant | undefined;
  #validityMs: number;
  #cancelDeadline: () => void = () => {};

  constructor(runtime: Runtime, options: HealthOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#startedAt = runtime.clock.now();
    this.#validityMs = options.ttlMs;
    this.#situation = new Latest<Situation>({ state: 'starting', since: this.#startedAt, reason: undefined });
    this.#armDeadline();
  }

  /** Read from the clock, so it is right even when timers are late. */
  get state(): HealthState {
    const { state } = this.#situation.value;
    if (state === 'closed' || state === 'degraded') return state;
    return this.#leftMs() > 0 ? state : 'degraded';
  }

  get status(): HealthStatus {
    this.#expire();
    const now = this.#runtime.clock.now();
    const { state, since, reason } = this.#situation.value;
    return {
      state,
      sinceMs: elapsedMs(since, now),
      lastContactMs: this.#contactAt === undefined ? undefined : elapsedMs(this.#contactAt, now),
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** Throws CoordinationUnavailableError while degraded, in which nothing is queued. `what` is what cannot be done: `write the config "a"`. */
  expectContact(what: string): void {
    if (this.state !== 'degraded') return;
    throw new CoordinationUnavailableError(
      `Could not ${what}: there has been no contact with etcd for longer than a lease lasts. Nothing was sent, and nothing is queued.`,
    );
  }

  /** Why the last attempt failed, where it did. */
  get reason(): string | undefined {
    return this.#situation.value.reason;
  }

  /** A grant or a renewal that was sent at `sentAt` has been answered, with this TTL. */
  contact(sentAt: Instant, grantedTtlMs: number): void {
    const { state } = this.#situation.value;
    if (state === 'closed') return;
    this.#contactAt = sentAt;
    this.#validityMs = grantedTtlMs - this.#options.marginMs(grantedTtlMs);
    this.#armDeadline();
    /* An answer to something sent too long ago is news, but it no longer proves that anything can be trusted. */
    if (this.#leftMs() > 0 && state !== 'connected') this.#enter('connected', undefined);
  }

  /** A grant or a renewal failed. */
  failure(reason: string): void {
    const { state } = this.#situation.value;
    if (state === 'closed') return;
    this.#enter(state === 'connected' ? 'suspended' : state, reason);
    this.#expire();
  }

  close(): void {
    this.#cancelDeadline();
    this.#enter('closed', undefined);
    this.#situation.close();
  }

  /** Calls `listener` after each change of the state, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    return this.#situation.subscribe(listener);
  }

  /** The current status, then each change of state; conflated to the newest for a slow reader. */
  watch(signal?: AbortSignal): Sequence<HealthStatus> {
    let shown: HealthState | undefined;
    return mapped(this.#situation.watch(signal), () => {
      const { status } = this;
      if (status.state === shown) return undefined;
      shown = status.state;
      return { value: status };
    });
  }

  #leftMs(): number {
    return this.#validityMs - elapsedMs(this.#contactAt ?? this.#startedAt, this.#runtime.clock.now());
  }

  #armDeadline(): void {
    this.#cancelDeadline();
    /* Whole milliseconds, so that time moves on between two of these. */
    this.#cancelDeadline = this.#runtime.clock.schedule(Math.max(0, Math.ceil(this.#leftMs())), () => {
      this.#expire();
      if (this.state !== 'degraded' && this.state !== 'closed') this.#armDeadline();
    });
  }

  #expire(): void {
    if (this.state === 'degraded') this.#enter('degraded', this.#situation.value.reason);
  }

  #enter(state: HealthState, reason: string | undefined): void {
    const before = this.#situation.value;
    if (before.state === state && before.reason === reason) return;
    const since = before.state === state ? before.since : this.#runtime.clock.now();
    if (before.state !== state) {
      const log = state === 'connected' || state === 'closed' ? 'info' : 'warn';
      this.#runtime.logger[log](`Contact with etcd: ${state}`, {
        event: `health.${state}`,
        before: before.state,
        reason,
      });
      tell('health', { state, before: before.state, reason });
    }
    this.#situation.set({ state, since, reason });
  }
}
