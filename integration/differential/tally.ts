import { operationsIn } from './known-divergences.ts';
import type { Answer, WireRequest } from './wire-client.ts';
import { WireRequests } from './wire-requests.ts';

/** etcd's words for each refusal that has to have been met, and in one of how many requests at the least: a third or less of what is usual. */
const refusals: readonly (readonly [words: string, oneIn: number])[] = [
  ['etcdserver: requested lease not found', 100],
  ['etcdserver: lease already exists', 100],
  ['etcdserver: duplicate key given in txn request', 100],
  ['etcdserver: key not found', 200],
  ['etcdserver: mvcc: required revision has been compacted', 1_000],
  ['etcdserver: mvcc: required revision is a future revision', 200],
  ['etcdserver: value is provided', 500],
  ['etcdserver: lease is provided', 500],
  ['etcdserver: key is not provided', 500],
  ['etcdserver: authentication is not enabled', 1_500],
  ['etcdserver: too large lease TTL', 1_500],
  ['etcdserver: request is too large', 2_500],
  ['etcdserver: too many operations in txn request', 5_000],
  ['grpc: received message larger than max', 5_000],
];

const FEW = 10;

/** What a run with one version compared. */
export class Tally {
  /** By method: requests that both answered alike, and operations within transactions. */
  readonly requests: Counts = new Counts();
  readonly operations: Counts = new Counts();
  /** By gRPC's code and etcd's words. */
  readonly refusals: Counts = new Counts();
  readonly setAside: Counts = new Counts();
  readonly watches: Counts = new Counts();
  readonly expiry: Counts = new Counts();

  add({ method, request }: WireRequest, answer: Answer): void {
    this.requests.add(method);
    if (method === 'txn') {
      for (const operation of operationsIn(request)) this.operations.add(Object.keys(operation)[0] ?? 'none');
    }
    if ('refused' in answer) {
      const { code, details } = answer.refused;
      // The one that tells a size tells another one each time.
      this.refusals.add(`${code} ${details.replace(/ \(.*\)$/, '')}`);
    }
  }

  lines(): readonly string[] {
    const parts = [
      ['requests', this.requests],
      ['operations in transactions', this.operations],
      ['refused', this.refusals],
      ['watches', this.watches],
      ['leases that ended', this.expiry],
      ['not sent', this.setAside],
    ] as const;
    return parts.flatMap(([title, counts]) => [`  ${title}: ${counts.total}`, ...counts.lines()]);
  }

  /** What there was too little of in a run of so many requests. What chance brings less than ten of, it may also not bring at all. */
  shortfalls(requests: number): readonly string[] {
    const missing: string[] = [];
    const expect = (what: string, count: number, least: number): void => {
      if (least >= FEW && count < least) missing.push(`${what}: ${count}, expected at least ${Math.floor(least)}`);
    };
    expect('requests', this.requests.total, requests);
    for (const [method, share] of Object.entries(WireRequests.shares)) {
      expect(method, this.requests.get(method), (requests * share) / 3_000);
    }
    for (const kind of ['request_put', 'request_range', 'request_delete_range', 'request_txn']) {
      expect(kind, this.operations.get(kind), requests / 20);
    }
    for (const [words, oneIn] of refusals) expect(words, this.refusals.containing(words), requests / oneIn);
    expect('events of watches', this.watches.get('events'), requests);
    expect('watches of a past that was compacted', this.watches.get('ended by a compaction'), requests / 1_000);
    expect('reports of progress', this.watches.get('progress reported'), requests / 1_000);
    expect('leases that ended by themselves', this.expiry.get('leases'), requests / 1_000);
    expect('keys that ended with their leases', this.expiry.get('keys'), requests / 1_000);
    return missing;
  }
}

export class Counts {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, this.get(name) + count);
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  containing(words: string): number {
    return [...this.#counts].reduce((sum, [name, count]) => sum + (name.includes(words) ? count : 0), 0);
  }

  lines(): readonly string[] {
    return [...this.#counts]
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`);
  }
}
