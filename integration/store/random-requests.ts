import type { Compare, Operation, RangeRequest, Span, Store, Transaction } from '../../lib/store/store.ts';
import type { SeededRandom } from '../../lib/testing/seeded-random.ts';

const NAMES = ['a', 'a/x', 'a/y', 'ab', 'b', 'é', '\u{1F600}'];
const LEASES = [11n, 12n, 13n];
const VALUES = ['', '1', '2'];

/** Requests at random, around few keys and few leases, so that they meet. */
export class RandomRequests {
  readonly #random: SeededRandom;
  readonly #timeoutMs: number;
  /** Where the stores are, so that revisions in requests are near it. */
  revision = 1n;

  constructor(random: SeededRandom, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#random = random;
    this.#timeoutMs = timeoutMs;
  }

  /** One call, to be made on several stores. */
  next(): { readonly title: string; readonly run: (store: Store) => Promise<unknown> } {
    const options = { timeoutMs: this.#timeoutMs };
    const share = this.#random.uniform();
    const lease = this.#random.pick(LEASES);
    if (share < 0.2) {
      const request = this.#range();
      return { title: `range ${show(request)}`, run: (store) => store.range(request, options) };
    }
    if (share < 0.28) return { title: `grant ${lease}`, run: (store) => store.grant(lease, 600_000, options) };
    if (share < 0.32) return { title: `revoke ${lease}`, run: (store) => store.revoke(lease, options) };
    if (share < 0.34) return { title: `renew ${lease}`, run: (store) => store.renew(lease, options) };
    if (share < 0.4) {
      return {
        title: `keys of ${lease}`,
        run: async (store) => {
          const { revision, remainingMs, keys } = await store.leaseKeys(lease, options);
          return { revision, isAlive: remainingMs > 0, keys: keys.toSorted() };
        },
      };
    }
    const transaction = this.#transaction(0);
    return { title: `transact ${show(transaction)}`, run: (store) => store.transact(transaction, options) };
  }

  #transaction(depth: number): Transaction {
    const transaction = {
      compare: this.#list(2, () => this.#compare()),
      then: this.#list(4 - depth, () => this.#operation(depth)),
    };
    return this.#random.chance(0.3)
      ? transaction
      : { ...transaction, otherwise: this.#list(3, () => this.#operation(depth)) };
  }

  #operation(depth: number): Operation {
    const share = this.#random.uniform();
    if (share < 0.2 && depth < 2) return { type: 'txn', ...this.#transaction(depth + 1) };
    if (share < 0.4) return { type: 'range', ...this.#range() };
    // Not of everything: such a delete may meet a put of the same key, against etcd's own rules, and etcd then contradicts itself.
    if (share < 0.55) return { type: 'delete', ...this.#span(['a/', 'b']) };
    const put = { type: 'put', key: this.#random.pick(NAMES), value: this.#random.pick(VALUES) } as const;
    return this.#random.chance(0.2) ? { ...put, lease: this.#random.pick(LEASES) } : put;
  }

  #compare(): Compare {
    const is = this.#random.pick(['=', '!=', '<', '>'] as const);
    if (this.#random.chance(0.2)) {
      const key = this.#random.pick(NAMES);
      return { key, target: 'value', is: is === '=' ? '=' : '!=', than: this.#random.pick(VALUES) };
    }
    const target = this.#random.pick(['create', 'mod', 'version'] as const);
    const small = BigInt(this.#random.integer(0, 3));
    return {
      ...this.#span(),
      target,
      is,
      than: target === 'version' || this.#random.chance(0.5) ? small : this.#near(),
    };
  }

  #range(): RangeRequest {
    const by = this.#random.pick(['key', 'create', 'mod'] as const);
    return {
      ...this.#span(),
      ...this.#sometimes(() => ({ from: this.#random.pick(NAMES) })),
      ...this.#sometimes(() => ({ limit: this.#random.integer(0, 3) })),
      ...this.#sometimes(() => ({ sort: { by, order: this.#random.pick(['ascend', 'descend'] as const) } })),
      ...this.#sometimes(() => ({ minModRevision: this.#near() })),
      ...this.#sometimes(() => ({ maxCreateRevision: this.#near() })),
      ...this.#sometimes(() => ({ keysOnly: true })),
      ...(this.#random.chance(0.1) ? { countOnly: true } : {}),
      ...(this.#random.chance(0.1) ? { revision: this.#near() } : {}),
    };
  }

  #span(prefixes: readonly string[] = ['a/', 'b', '']): Span {
    const key = this.#random.pick(NAMES);
    return this.#random.chance(0.6) ? { key } : { prefix: this.#random.pick([key, ...prefixes]) };
  }

  #near(): bigint {
    const revision = this.revision + BigInt(this.#random.integer(-20, 3));
    return revision > 0n ? revision : 0n;
  }

  #sometimes<T extends object>(make: () => T): T | object {
    return this.#random.chance(0.25) ? make() : {};
  }

  #list<T>(most: number, make: () => T): readonly T[] {
    return Array.from({ length: this.#random.integer(0, most) }, make);
  }
}

function show(request: unknown): string {
  return JSON.stringify(request, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
