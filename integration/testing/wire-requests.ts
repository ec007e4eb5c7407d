import type { EtcdService } from '../../lib/store/etcd/protocol.ts';
import type { SeededRandom } from '../../lib/testing/seeded-random.ts';

/** Keys that are no text are among them, and such as an end of a range could be mistaken for. */
const KEYS = ['a', 'a/x', 'a/y', 'ab', 'b', '\0', '\x7f\xff', '\xff', '\xff\xff', 'é'].map((key) =>
  Buffer.from(key, 'latin1'),
);
const VALUES = ['', '1', '2', '\xfe\0'].map((value) => Buffer.from(value, 'latin1'));
const LEASES = ['11', '12', '13'];
const TO_THE_END = Buffer.from([0]);

interface Interval {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

export interface WireRequest {
  readonly service: EtcdService;
  readonly method: string;
  readonly request: object;
}

/** Requests of etcd's protocol at random, around few keys and few leases, so that they meet. */
export class WireRequests {
  readonly #random: SeededRandom;
  /** Where the servers are, so that revisions in requests are near it. */
  revision = 1;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  next(): WireRequest {
    const share = this.#random.uniform();
    if (share < 0.2) return { service: 'KV', method: 'range', request: this.#range() };
    if (share < 0.45) return { service: 'KV', method: 'put', request: this.#put() };
    if (share < 0.52) return { service: 'KV', method: 'deleteRange', request: this.#delete(this.#interval()) };
    if (share < 0.82) return { service: 'KV', method: 'txn', request: this.#transaction(0) };
    if (share < 0.84) return { service: 'KV', method: 'compact', request: { revision: this.#near(1) } };
    const ID = this.#random.pick(LEASES);
    if (share < 0.9) return { service: 'Lease', method: 'leaseGrant', request: { ID, TTL: '600' } };
    if (share < 0.93) return { service: 'Lease', method: 'leaseRevoke', request: { ID } };
    return { service: 'Lease', method: 'leaseTimeToLive', request: { ID, keys: this.#random.chance(0.8) } };
  }

  /** A watch that is told apart by its ID. */
  watch(watch_id: number): object {
    return {
      create_request: {
        ...this.#interval(),
        watch_id: String(watch_id),
        start_revision: this.#random.chance(0.3) ? '0' : this.#near(1),
        prev_kv: this.#random.chance(0.5),
        fragment: this.#random.chance(0.3),
        filters: this.#list(1, () => this.#random.pick(['Noput', 'Nodelete'])),
      },
    };
  }

  #transaction(depth: number): object {
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
    // With an end, and behind its start: otherwise such a delete may meet a put of the same key, and etcd contradicts itself.
    if (share < 0.6) return { request_delete_range: this.#delete(this.#bounded()) };
    return { request_put: this.#put() };
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
      sort_order: this.#random.pick(['None', 'None', 'Ascend', 'Descend']),
      sort_target: this.#random.pick(['Key', 'Key', 'Version', 'Create', 'Mod', 'Value']),
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
      key: this.#random.pick(KEYS),
      value: ignore_value && this.#random.chance(0.9) ? Buffer.alloc(0) : this.#random.pick(VALUES),
      // With a lease and a key missing, a put by itself complains of the one and a transaction of the other.
      lease: !ignore_lease && !ignore_value && this.#random.chance(0.2) ? this.#random.pick(LEASES) : '0',
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
    const key = this.#random.pick(KEYS);
    if (this.#random.chance(0.4)) return { key };
    return { key, range_end: this.#random.pick([...KEYS, TO_THE_END]) };
  }

  #bounded(): Interval {
    const { key, range_end } = this.#interval();
    return range_end !== undefined && range_end.compare(key) > 0 ? { key, range_end } : { key };
  }

  #sometimes(field: string): object {
    return this.#random.chance(0.1) ? { [field]: this.#near() } : {};
  }

  #near(least = 0): string {
    return String(Math.max(least, this.revision + this.#random.integer(-12, 2)));
  }

  #list<T>(most: number, make: () => T): readonly T[] {
    return Array.from({ length: this.#random.integer(0, most) }, make);
  }
}
