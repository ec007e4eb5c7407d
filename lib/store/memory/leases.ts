/**
 * etcd's lessor: leases, the keys on them, and their end.
 *
 * A lease ends no sooner than its TTL after the last renewal, by the cluster's own clock; how much later is up to the cluster
 * (`expiryLagMs`), as etcd looks for expired leases twice a second. A new leader gives every lease its full TTL again.
 */
import type { Clock } from '../../runtime/clock.ts';
import { compareKeys } from './key-order.ts';
import { Refusal } from './refusal.ts';
import { leaseNotFound, type LeaseView } from './transaction.ts';

interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  /** On the monotonic clock. */
  expiresAtMs: number;
  cancelTimer: () => void;
}

export interface LeaseState {
  /** As it was granted. */
  readonly ttlMs: number;
  /** Negative when its end is due. */
  readonly remainingMs: number;
  readonly keys: readonly string[];
}

export interface LeasesOptions {
  /** etcd grants no less: one and a half election timeouts, rounded up to seconds. */
  readonly minTtlSeconds: number;
  /** How long after its end a lease is taken away. */
  readonly expiryLagMs: () => number;
}

const MAX_TTL_SECONDS = 9_000_000_000;

export class Leases implements LeaseView {
  readonly #clock: Clock;
  readonly #options: LeasesOptions;
  readonly #expire: (lease: bigint) => void;
  readonly #leases = new Map<bigint, Lease>();
  readonly #leaseOfKey = new Map<string, bigint>();
  #stopped = false;

  /** `expire` is called when a lease has ended, and revokes it. */
  constructor(clock: Clock, options: LeasesOptions, expire: (lease: bigint) => void) {
    this.#clock = clock;
    this.#options = options;
    this.#expire = expire;
  }

  has(lease: bigint): boolean {
    return this.#leases.has(lease);
  }

  list(): readonly bigint[] {
    return [...this.#leases.keys()];
  }

  /** Returns the granted TTL, in milliseconds. */
  grant(id: bigint, ttlMs: number): number {
    const asked = Math.ceil(ttlMs / 1_000);
    if (!(asked <= MAX_TTL_SECONDS)) {
      throw new Refusal('ttl-too-large', `expected up to ${MAX_TTL_SECONDS} s, got ${asked}`);
    }
    if (this.#leases.has(id)) throw new Refusal('lease-exists', `lease ${id.toString(16)}`);
    const ttlSeconds = Math.max(this.#options.minTtlSeconds, asked);
    const lease: Lease = { id, ttlSeconds, keys: new Set(), expiresAtMs: 0, cancelTimer: () => undefined };
    this.#leases.set(id, lease);
    this.#extend(lease);
    return ttlSeconds * 1_000;
  }

  /** Returns the TTL in milliseconds, or 0 if there is no such lease, and none any more if its end was due. */
  renew(id: bigint): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) return 0;
    if (this.#remainingMs(lease) <= 0) {
      // etcd lets such a renewal wait for the revocation, then says that there is no lease.
      this.#expire(id);
      return 0;
    }
    this.#extend(lease);
    return lease.ttlSeconds * 1_000;
  }

  /** Forgets the lease; returns its keys in order, for the caller to delete. */
  remove(id: bigint): readonly string[] {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw leaseNotFound(id);
    lease.cancelTimer();
    this.#leases.delete(id);
    for (const key of lease.keys) this.#leaseOfKey.delete(key);
    return [...lease.keys].toSorted(compareKeys);
  }

  /** What there is to tell of a lease, or nothing if it does not exist. */
  get(id: bigint): LeaseState | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    const { ttlSeconds, keys } = lease;
    return { ttlMs: ttlSeconds * 1_000, remainingMs: this.#remainingMs(lease), keys: [...keys] };
  }

  /** Whole seconds, rounded down, as etcd tells it; 1 in the last second of a life, 0 afterwards. */
  remainingMs(id: bigint): number {
    const lease = this.#leases.get(id);
    return lease === undefined ? 0 : Math.max(1, Math.floor(this.#remainingMs(lease) / 1_000) * 1_000);
  }

  keysOf(id: bigint): readonly string[] {
    return [...(this.#leases.get(id)?.keys ?? [])];
  }

  attach(key: string, lease: bigint): void {
    this.detach(key);
    if (lease === 0n) return;
    this.#leases.get(lease)?.keys.add(key);
    this.#leaseOfKey.set(key, lease);
  }

  detach(key: string): void {
    const lease = this.#leaseOfKey.get(key);
    if (lease === undefined) return;
    this.#leases.get(lease)?.keys.delete(key);
    this.#leaseOfKey.delete(key);
  }

  /** Nothing expires while no leader counts. */
  stop(): void {
    this.#stopped = true;
    for (const lease of this.#leases.values()) lease.cancelTimer();
  }

  /** A new leader begins to count, from the full TTL of each lease. */
  start(): void {
    this.#stopped = false;
    for (const lease of this.#leases.values()) this.#extend(lease);
  }

  /** The same leader goes on after it was stopped: what ended meanwhile ends now. */
  resume(): void {
    this.#stopped = false;
    for (const lease of this.#leases.values()) this.#arm(lease);
  }

  save(): readonly { readonly id: bigint; readonly ttlSeconds: number; readonly keys: readonly string[] }[] {
    return [...this.#leases.values()].map(({ id, ttlSeconds, keys }) => ({ id, ttlSeconds, keys: [...keys] }));
  }

  load(saved: ReturnType<Leases['save']>): void {
    for (const lease of this.#leases.values()) lease.cancelTimer();
    this.#leases.clear();
    this.#leaseOfKey.clear();
    for (const { id, ttlSeconds, keys } of saved) {
      const lease: Lease = { id, ttlSeconds, keys: new Set(), expiresAtMs: 0, cancelTimer: () => undefined };
      this.#leases.set(id, lease);
      for (const key of keys) this.attach(key, id);
      this.#extend(lease);
    }
  }

  #extend(lease: Lease): void {
    lease.expiresAtMs = this.#clock.now().monotonicMs + lease.ttlSeconds * 1_000;
    this.#arm(lease);
  }

  #arm(lease: Lease): void {
    lease.cancelTimer();
    if (this.#stopped) return;
    const delayMs = this.#remainingMs(lease) + this.#options.expiryLagMs();
    lease.cancelTimer = this.#clock.schedule(delayMs, () => this.#expire(lease.id));
  }

  #remainingMs(lease: Lease): number {
    return lease.expiresAtMs - this.#clock.now().monotonicMs;
  }
}
