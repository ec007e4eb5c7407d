/**
 * A model of an etcd cluster in memory: what clients, operators and leases can do to it, and what can happen to it.
 *
 * Guarantees: one order of revisions, as etcd gives it; the rules of transactions, leases, watches and compaction as measured on
 * etcd 3.4 and 3.5 (store-contract.ts holds the model to real servers). Every applied revision stands in {@link log}.
 * Not modelled: members that lag behind each other, authentication, and how long things take inside a server.
 */
import type { Clock } from '../../runtime/clock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { StoreError } from '../store-error.ts';
import type { KeyValue, LeaseKeysResponse, RangeResponse } from '../store.ts';
import { mayWrite, type Answer, type Call } from './call.ts';
import type { EtcdRangeRequest, EtcdSpan, EtcdTransaction, EtcdTransactionResponse } from './etcd-requests.ts';
import { Leases, type LeaseState } from './leases.ts';
import { MemoryStore, SILENCE_TIMEOUT_MS } from './memory-store.ts';
import { Mvcc, type Applied, type ReadView } from './mvcc.ts';
import type { Endpoint, Respond } from './network.ts';
import { Refusal } from './refusal.ts';
import { checkSize, checkSpan, checkTransaction, sizeOf } from './transaction-check.ts';
import { applyTransaction, costsSpace, isWrite, readTransaction } from './transaction.ts';
import { Watchers, type Watcher } from './watchers.ts';

/** Milliseconds: always the same, or drawn anew each time. */
export type Delay = number | { readonly from: number; readonly to: number };

export interface MemoryClusterOptions {
  /** What {@link Store.status} answers. @default '3.5.16' */
  readonly version?: string;
  /** No lease is granted for less, in whole seconds. @default 2, as etcd with its default election timeout */
  readonly minTtlMs?: number;
  /** How long after its end a lease is taken away; etcd takes up to 500 ms. @default 0 */
  readonly expiryLagMs?: Delay;
  /** How long a watch that begins in the past waits for its history; etcd takes up to 100 ms. @default 0 */
  readonly catchUpMs?: Delay;
  /**
   * Whether a watch from the very revision of a compaction misses the deletes of that revision, as in etcd 3.4.23.
   * @default false, as in etcd 3.5.16
   */
  readonly losesDeletesAtCompaction?: boolean;
  /** Whether {@link MemoryCluster.log} is kept, which grows for ever. @default true */
  readonly keepsLog?: boolean;
}

export interface ClientOptions {
  /** @default 'client 1', 'client 2', … */
  readonly name?: string;
  /** A client's own clock, logger and chance. @default the cluster's */
  readonly runtime?: Runtime;
  /** How long a message is under way, one way. @default 0, for which no timer is needed */
  readonly latencyMs?: Delay;
}

/** One revision that was applied, and by whom. */
export interface LogEntry extends Applied {
  /** Counts the restores: within one era revisions only rise. */
  readonly era: number;
  /** On the cluster's monotonic clock. */
  readonly atMs: number;
  readonly by: { readonly call: Call } | { readonly expiredLease: bigint } | 'operator';
}

/** What a backup of the cluster holds. */
export interface Snapshot {
  readonly mvcc: Mvcc;
  readonly leases: ReturnType<Leases['save']>;
}

type State =
  | { readonly is: 'running' }
  /** Its process is gone: connections are refused. */
  | { readonly is: 'crashed' }
  /** Its process stands still: requests wait in its sockets. */
  | { readonly is: 'frozen'; readonly waiting: (() => void)[]; readonly endOfSilence: () => void };

export class MemoryCluster {
  readonly log: LogEntry[] = [];
  readonly #runtime: Runtime;
  readonly #version: string;
  readonly #losesDeletesAtCompaction: boolean;
  readonly #keepsLog: boolean;
  readonly #leases: Leases;
  readonly #watchers: Watchers;
  readonly #endpoint: Endpoint;
  #mvcc = new Mvcc();
  #state: State = { is: 'running' };
  #era = 0;
  #process = 0;
  #outOfSpace = false;
  #takesOneMore = false;
  #calls = 0;
  #clients = 0;

  constructor(runtime: Runtime, options: MemoryClusterOptions = {}) {
    const { version = '3.5.16', minTtlMs = 2_000, expiryLagMs = 0, catchUpMs = 0 } = options;
    this.#runtime = runtime;
    this.#version = version;
    this.#losesDeletesAtCompaction = options.losesDeletesAtCompaction ?? false;
    this.#keepsLog = options.keepsLog ?? true;
    this.#leases = new Leases(
      runtime.clock,
      { minTtlSeconds: Math.ceil(minTtlMs / 1_000), expiryLagMs: this.#draw(expiryLagMs) },
      (lease) => this.#revoke(lease, { expiredLease: lease }),
    );
    this.#watchers = new Watchers(runtime.clock, () => this.#mvcc, this.#draw(catchUpMs));
    const processOf = (): number => this.#process;
    this.#endpoint = {
      clock: runtime.clock,
      get process() {
        return processOf();
      },
      nextCallId: () => (this.#calls += 1),
      receive: (call, respond) => this.#receive(call, respond),
      open: (watcher) => this.watch(watcher),
    };
  }

  /** A client with a network of its own. */
  connect(options: ClientOptions = {}): MemoryStore {
    this.#clients += 1;
    const { name = `client ${this.#clients}`, runtime = this.#runtime, latencyMs = 0 } = options;
    return new MemoryStore(runtime, this.#endpoint, { name, latencyMs: this.#draw(latencyMs) });
  }

  get clock(): Clock {
    return this.#runtime.clock;
  }

  get revision(): bigint {
    return this.#mvcc.revision;
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  /** The leases there are. */
  get leases(): readonly bigint[] {
    return this.#leases.list();
  }

  /** What the store holds, for a test to look at. */
  get(key: string): KeyValue | undefined {
    return this.#mvcc.get(key);
  }

  entries(prefix: string): readonly KeyValue[] {
    return this.#mvcc.range({ prefix }).entries;
  }

  /**
   * An operator's hand in the store, and all that etcd's protocol has. These work whatever state the cluster is in, and at once. They
   * throw a {@link Refusal} where etcd refuses. `bytes`: what the request takes on its way through raft, for a write.
   */
  transact(transaction: EtcdTransaction, bytes = 0): EtcdTransactionResponse {
    this.#checkTransaction(transaction, 'operator');
    checkSize(bytes);
    return this.#transact(transaction, 'operator');
  }

  range(request: EtcdRangeRequest): RangeResponse {
    checkSpan(request);
    return this.#mvcc.range(request);
  }

  /** Returns the granted TTL in milliseconds. */
  grant(lease: bigint, ttlMs: number): number {
    if (this.#outOfSpace) throw quotaError();
    return this.#leases.grant(lease, ttlMs);
  }

  /** Returns the TTL in milliseconds, or 0 if there is no such lease. */
  renew(lease: bigint): number {
    return this.#leases.renew(lease);
  }

  lease(lease: bigint): LeaseState | undefined {
    return this.#leases.get(lease);
  }

  /** Returns what ends the watch. */
  watch(watcher: Watcher): () => void {
    return this.#watchers.add(watcher);
  }

  put(key: string, value: string, lease: bigint = 0n): void {
    this.transact({ compare: [], then: [{ type: 'put', key, value, lease }] });
  }

  /** Deletes a key, or a span. */
  delete(what: string | EtcdSpan): void {
    const span = typeof what === 'string' ? { key: what } : what;
    this.transact({ compare: [], then: [{ type: 'delete', ...span }] });
  }

  /** Throws if there is no such lease. */
  revoke(lease: bigint): void {
    this.#revoke(lease, 'operator');
  }

  /** Throws if the revision is compacted already or does not exist yet. */
  compact(revision: bigint = this.revision): void {
    this.#mvcc.compact(revision, { keepDeletes: !this.#losesDeletesAtCompaction });
  }

  get isOutOfSpace(): boolean {
    return this.#outOfSpace;
  }

  /**
   * The space quota is exceeded: what needs space is refused from now on. With `takesOneMore`, the next transaction of that kind is applied
   * and refused nevertheless, as etcd does with the one by which the quota is exceeded (etcd: `quotaApplierV3`).
   */
  exceedQuota({ takesOneMore = false }: { readonly takesOneMore?: boolean } = {}): void {
    this.#outOfSpace = true;
    this.#takesOneMore = takesOneMore;
  }

  /** An operator made room and disarmed the alarm. */
  disarmQuota(): void {
    this.#outOfSpace = false;
  }

  /** Sends a sign of life on every watch that is not behind. */
  reportProgress(): void {
    if (this.#state.is === 'running') this.#watchers.reportProgress();
  }

  /**
   * No answers any more. `crash`: the process is gone, watches break, connections are refused. `freeze`: the process stands still,
   * so requests wait, and are applied when it goes on, whether or not their callers still wait; watches are silent, then break. No
   * lease ends meanwhile.
   */
  stop(how: 'crash' | 'freeze' = 'crash'): void {
    if (this.#state.is === 'crashed' || (this.#state.is === 'frozen' && how === 'freeze')) return;
    if (this.#state.is === 'frozen') this.#state.endOfSilence();
    this.#leases.stop();
    if (how === 'freeze') {
      const endOfSilence = this.clock.schedule(SILENCE_TIMEOUT_MS, () => this.#watchers.disconnect());
      this.#state = { is: 'frozen', waiting: [], endOfSilence };
    } else {
      this.#state = { is: 'crashed' };
      this.#process += 1;
      this.#watchers.disconnect();
    }
  }

  /**
   * Goes on. After a crash there is a new leader, which gives each lease its full TTL again; after a freeze the same one counts on,
   * unless `newLeader` says otherwise.
   */
  start({ newLeader = this.#state.is === 'crashed' }: { readonly newLeader?: boolean } = {}): void {
    const before = this.#state;
    if (before.is === 'running') return;
    this.#state = { is: 'running' };
    if (newLeader) this.#leases.start();
    else this.#leases.resume();
    if (before.is === 'crashed') return;
    before.endOfSilence();
    for (const receive of before.waiting) receive();
  }

  /** Another member leads: it counts each lease from its full TTL. */
  elect(): void {
    if (this.#state.is === 'running') this.#leases.start();
  }

  snapshot(): Snapshot {
    return { mvcc: this.#mvcc.copy(), leases: this.#leases.save() };
  }

  /**
   * The cluster is stopped, its data replaced by the backup, and started again. The revision goes back, and nothing but that shows
   * it. `bumpRevision` is the operator's cure: the revision is raised by so much and all history before it is gone.
   */
  restore(snapshot: Snapshot, { bumpRevision = 0n }: { readonly bumpRevision?: bigint } = {}): void {
    this.stop();
    this.#era += 1;
    this.#mvcc = snapshot.mvcc.copy();
    if (bumpRevision > 0n) this.#mvcc.bump(bumpRevision);
    this.#leases.load(snapshot.leases);
    this.start();
  }

  #receive(call: Call, respond: Respond): void {
    if (this.#state.is === 'crashed') {
      respond(new StoreError('unreachable', 'transient', 'The connection was refused'));
    } else if (this.#state.is === 'frozen') {
      this.#state.waiting.push(() => this.#receive(call, respond));
    } else {
      respond(this.#answer(call));
    }
  }

  #answer(call: Call): Answer | StoreError {
    try {
      return this.#apply(call);
    } catch (error) {
      if (error instanceof StoreError) return error;
      const outcome = mayWrite(call) ? 'unknown' : 'transient';
      return new StoreError('internal', outcome, 'The model of etcd has a bug', { cause: error });
    }
  }

  #apply(call: Call): Answer {
    const { revision } = this.#mvcc;
    switch (call.method) {
      case 'range':
        checkSpan(call.range);
        return this.#view(call).range(call.range);
      case 'transact':
        this.#checkTransaction(call.transaction, { call });
        checkSize(sizeOf(call.transaction));
        if (!isWrite(call.transaction)) return readTransaction(this.#view(call), call.transaction);
        return this.#transact(call.transaction, { call });
      case 'grant':
        return { revision, ttlMs: this.grant(call.lease, call.ttlMs) };
      case 'revoke':
        return this.#leases.has(call.lease) ? this.#revoke(call.lease, { call }) : undefined;
      case 'renew':
        return { revision, ttlMs: this.#leases.renew(call.lease) };
      case 'leaseKeys':
        return this.#leaseKeys(call.lease);
      case 'status':
        return { revision, version: this.#version, dbSizeBytes: 0, hasLeader: true };
      case 'watch':
        return undefined;
    }
  }

  /** What a reader sees: the newest revision, but for a fault. */
  #view({ staleBy = 0 }: Call): ReadView {
    const revision = this.#mvcc.revision - BigInt(staleBy);
    return this.#mvcc.asOf(revision > this.#mvcc.compactRevision ? revision : this.#mvcc.compactRevision);
  }

  #checkTransaction(transaction: EtcdTransaction, by: LogEntry['by']): void {
    const isRefused = this.#outOfSpace && costsSpace(transaction);
    if (isRefused && !this.#takesOneMore) throw quotaError();
    checkTransaction(transaction);
    if (!isRefused) return;
    this.#takesOneMore = false;
    this.#transact(transaction, by);
    throw quotaError();
  }

  #transact(transaction: EtcdTransaction, by: LogEntry['by']): EtcdTransactionResponse {
    const { response, applied } = applyTransaction(this.#mvcc, this.#leases, transaction);
    this.#record(applied, by);
    return response;
  }

  #leaseKeys(lease: bigint): LeaseKeysResponse {
    const { revision } = this.#mvcc;
    return { revision, remainingMs: this.#leases.remainingMs(lease), keys: this.#leases.keysOf(lease) };
  }

  #revoke(lease: bigint, by: LogEntry['by']): void {
    const batch = this.#mvcc.begin();
    for (const key of this.#leases.remove(lease)) batch.delete({ key });
    this.#record(batch.end(), by);
  }

  #record(applied: Applied | undefined, by: LogEntry['by']): void {
    if (applied === undefined) return;
    if (this.#keepsLog) this.log.push({ ...applied, era: this.#era, atMs: this.clock.now().monotonicMs, by });
    this.#watchers.notify(applied);
  }

  #draw(delay: Delay): () => number {
    if (typeof delay === 'number') return () => delay;
    const { from, to } = delay;
    return () => from + Math.floor(this.#runtime.random.uniform() * (to - from + 1));
  }
}

function quotaError(): Refusal {
  return new Refusal('no-space', 'the quota is exceeded until an operator disarms the alarm');
}
