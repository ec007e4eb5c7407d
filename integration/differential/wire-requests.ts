import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { manyOperations, outsized } from './limits.ts';
import type { WireRequest } from './wire-client.ts';

/**
 * Keys that are no text are among them, and such as an end of a range could be mistaken for. No more than twelve: of more with an equal
 * value, etcd sorts in an order that it does not promise.
 */
const KEYS = ['a', 'a/x', 'a/y', 'ab', 'b', '\0', '\x7f\xff', '\xff', '\xff\xff', 'é', 'z'].map((key) =>
  Buffer.from(key, 'latin1'),
);
const VALUES = ['', '1', '2', '\xfe\0'].map((value) => Buffer.from(value, 'latin1'));
const NOTHING = Buffer.alloc(0);
const TO_THE_END = Buffer.from([0]);
const LEASES = ['11', '12', '13', '-14'];
/** Long enough that none of them ends within a run: how leases end is a matter of its own (`expiry-rounds.ts`). */
const LONG_TTL = '7200';

interface Interval {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

interface WatchCreation {
  readonly create_request: Interval & {
    readonly watch_id: string;
    readonly start_revision: string;
    readonly prev_kv: boolean;
    readonly fragment: boolean;
    readonly filters: readonly string[];
  };
}

/** Requests of etcd's protocol at random, around few keys and few leases, so that they meet. */
export class WireRequests {
  readonly #random: SeededRandom;
  /** Where the servers are, so that revisions in requests are near it. */
  revision = 1;

  /** How many of a thousand requests are of each method. */
  static readonly shares: Readonly<Record<string, number>> = {
    range: 190,
    put: 240,
    deleteRange: 70,
    txn: 310,
    compact: 15,
    leaseGrant: 60,
    leaseRevoke: 30,
    leaseTimeToLive: 40,
    leaseKeepAlive: 25,
    leaseLeases: 10,
    memberList: 3,
    status: 3,
    alarm: 2,
    authenticate: 2,
  };

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  next(): WireRequest {
    if (this.#random.chance(0.006)) return outsized(this.#random, this.#random.pick(KEYS));
    let rest = this.#random.integer(0, 999);
    const [method] = Object.entries(WireRequests.shares).find(([, share]) => (rest -= share) < 0) as [string, number];
    return this.#request(method);
  }

  /** A watch that is told apart by its ID; without one, etcd gives it one. */
  watch(watch_id: number, { isPresent }: { readonly isPresent: boolean }): WatchCreation {
    return {
      create_request: {
        ...(this.#random.chance(0.2) ? this.#interval() : this.#bounded()),
        watch_id: String(watch_id),
        start_revision: isPresent ? '0' : this.#start(),
        prev_kv: this.#random.chance(0.5),
        fragment: this.#random.chance(0.3),
        filters: this.#list(1, () => this.#random.pick(['Noput', 'Nodelete'])),
      },
    };
  }

  /** The present, the near past and future, what history is left and more, or any revision there ever was. */
  #start(): string {
    const share = this.#random.uniform();
    if (share < 0.3) return '0';
    if (share < 0.8) return this.#near(1);
    if (share < 0.95) return String(Math.max(1, this.revision + this.#random.integer(-100, 50)));
    return String(this.#random.integer(-1, this.revision));
  }

  #request(method: string): WireRequest {
    const ID = this.#random.pick(LEASES);
    switch (method) {
      case 'range':
        return { service: 'KV', method, request: { ...this.#range(), serializable: this.#random.chance(0.2) } };
      case 'put':
        return { service: 'KV', method, request: this.#put() };
      case 'deleteRange':
        return { service: 'KV', method, request: this.#delete(this.#interval()) };
      case 'txn':
        return { service: 'KV', method, request: this.#transaction(0) };
      case 'compact':
        // Physically, since what a watch from that very revision is told depends on whether it is done yet.
        return { service: 'KV', method, request: { revision: this.#near(-1), physical: true } };
      case 'leaseGrant':
        return { service: 'Lease', method, request: { ID, TTL: this.#random.chance(0.03) ? '9000000001' : LONG_TTL } };
      case 'leaseTimeToLive':
        return { service: 'Lease', method, request: { ID, keys: this.#random.chance(0.8) } };
      case 'leaseLeases':
        return { service: 'Lease', method, request: {} };
      case 'memberList':
        return { service: 'Cluster', method, request: {} };
      case 'status':
      case 'alarm':
        return { service: 'Maintenance', method, request: {} };
      case 'authenticate':
        return { service: 'Auth', method, request: { name: 'root', password: 'x' } };
      default:
        return { service: 'Lease', method, request: { ID } };
    }
  }

  #transaction(depth: number): object {
    // Now and then about as many as etcd takes.
    if (depth === 0 && this.#random.chance(0.006)) return manyOperations(this.#random, this.#random.pick(KEYS));
    return {
      compare: this.#list(2, () => this.#compare()),
      success: this.#list(4 - depth, () => this.#operation(depth)),
      failure: this.#list(3, () => this.#operation(depth)),
    };
  }

  #operation(depth: number): object {
    const share = this.#random.uniform();
    if (share < 0.2 && depth < 2) return { request_txn: this.#transaction(depth + 1) };
    if (share < 0.45) return { request_range: this.#range() };
    if (share < 0.6) {
      // Those without an end must not stand beside a put, and are few, so that there is something left to send.
      const interval = this.#random.chance(0.1) ? this.#interval() : this.#bounded();
      return { request_delete_range: this.#delete(interval) };
    }
    // Now and then an operation that is none.
    return this.#random.chance(0.005) ? {} : { request_put: this.#put() };
  }

  #compare(): object {
    const result = this.#random.pick(['Equal', 'Greater', 'Less', 'NotEqual']);
    const compare = { ...this.#interval(), result };
    const small = String(this.#random.integer(0, 3));
    switch (this.#random.integer(0, 4)) {
      case 0:
        return { ...compare, target: 'Value', value: this.#random.pick(VALUES) };
      case 1:
        return { ...compare, target: 'Version', version: small };
      case 2:
        return { ...compare, target: 'Create', create_revision: this.#random.chance(0.5) ? small : this.#near() };
      case 3:
        return { ...compare, target: 'Mod', mod_revision: this.#random.chance(0.5) ? small : this.#near() };
      default:
        return { ...compare, target: 'Lease', lease: this.#random.pick(['0', ...LEASES]) };
    }
  }

  #range(): object {
    return {
      ...this.#interval(),
      limit: this.#random.chance(0.3) ? String(this.#random.integer(-1, 3)) : '0',
      revision: this.#random.chance(0.15) ? this.#near() : '0',
      // Numbers that have no name, too.
      sort_order: this.#random.chance(0.01) ? 7 : this.#random.pick(['None', 'None', 'Ascend', 'Descend']),
      sort_target: this.#random.chance(0.01)
        ? 9
        : this.#random.pick(['Key', 'Key', 'Version', 'Create', 'Mod', 'Value']),
      keys_only: this.#random.chance(0.1),
      count_only: this.#random.chance(0.1),
      ...this.#sometimes('min_mod_revision'),
      ...this.#sometimes('max_mod_revision'),
      ...this.#sometimes('min_create_revision'),
      ...this.#sometimes('max_create_revision'),
    };
  }

  #put(): object {
    const ignore_value = this.#random.chance(0.1);
    const ignore_lease = this.#random.chance(0.1);
    return {
      key: this.#random.chance(0.005) ? NOTHING : this.#random.pick(KEYS),
      value: ignore_value && this.#random.chance(0.9) ? NOTHING : this.#random.pick(VALUES),
      lease: this.#random.chance(ignore_lease ? 0.1 : 0.2) ? this.#random.pick(LEASES) : '0',
      prev_kv: this.#random.chance(0.3),
      ignore_value,
      ignore_lease,
    };
  }

  #delete(interval: object): object {
    return { ...interval, prev_kv: this.#random.chance(0.5) };
  }

  /** An end that is there and empty means something else to etcd than none. */
  #interval(): Interval {
    const key = this.#random.chance(0.005) ? NOTHING : this.#random.pick(KEYS);
    if (this.#random.chance(0.4)) return { key };
    return { key, range_end: this.#random.pick([...KEYS, TO_THE_END]) };
  }

  /** One key, or up to an end behind its start. */
  #bounded(): Interval {
    const { key, range_end } = this.#interval();
    return range_end !== undefined && range_end.compare(key) > 0 ? { key, range_end } : { key };
  }

  #sometimes(field: string): object {
    return this.#random.chance(0.1) ? { [field]: this.#random.chance(0.05) ? '-1' : this.#near() } : {};
  }

  #near(least = 0): string {
    return String(Math.max(least, this.revision + this.#random.integer(-12, 2)));
  }

  #list<T>(most: number, make: () => T): readonly T[] {
    return Array.from({ length: this.#random.integer(0, most) }, make);
  }
}
