import { readEpoch } from '../queue/epoch.ts';
import { instanceIdOf, leaseOf } from '../queue/inspect.ts';
import { packToken } from '../queue/token.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Keyspace } from '../session/keyspace.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, RangeRequest, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';

/** Who leads, as etcd showed it. It was true then; it may not be any more when it is read. */
export interface Leader {
  /** `undefined` for clients other than this package, and for one whose session was gone before it could be asked for. */
  readonly instanceId: string | undefined;
  /** What it has proclaimed last. */
  readonly value: string;
  /** The fencing token of its term. */
  readonly token: bigint;
}

/** Reads who leads an election. Everything goes through raft: what it says is not stale, even on servers whose other reads can be. */
export class LeaderReader {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #keyspace: Keyspace;
  readonly #prefix: string;

  constructor(runtime: Runtime, store: Store, repetition: Repetition, keyspace: Keyspace, prefix: string) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#keyspace = keyspace;
    this.#prefix = prefix;
  }

  /** Who leads now. Two calls. Rejects with a StoreError or with `signal.reason`. */
  async current(signal: AbortSignal): Promise<Leader | undefined> {
    for (let before: KeyValue | undefined; ;) {
      const oldest = { by: 'create', order: 'ascend' } as const;
      const [[first] = []] = await this.#read(signal, { prefix: this.#prefix, sort: oldest, limit: 1 });
      if (first === undefined) return undefined;
      const leader = await this.describe(first, signal);
      /* One of ours without a session has just gone, and its key with it: look again who leads instead. */
      const isGone = leader.instanceId === undefined && isOurs(first.key) && first.key !== before?.key;
      if (!isGone) return leader;
      before = first;
    }
  }

  /** The leader that a key in the queue stands for. One call. */
  async describe(entry: KeyValue, signal: AbortSignal): Promise<Leader> {
    const { epoch: epochKey } = this.#keyspace;
    const session = { key: this.#keyspace.session(leaseOf(entry)) };
    const [[owner] = [], [epochEntry] = []] = await this.#read(signal, session, { key: epochKey });
    const epoch = readEpoch(epochKey, epochEntry);
    return withDecimals({
      instanceId: instanceIdOf(owner),
      value: entry.value,
      token: packToken({ epoch, revision: entry.createRevision, handoff: 0 }),
    });
  }

  async #read(
    signal: AbortSignal,
    ...ranges: readonly [RangeRequest, ...RangeRequest[]]
  ): Promise<(readonly KeyValue[])[]> {
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    const ask = () => this.#store.transact(rangeThroughRaft(...ranges), call);
    const { responses } = await repeat(this.#runtime, this.#repetition, ask, { signal });
    return responses.map((response) => entriesOf(response));
  }
}

/** Our keys have a nonce behind the lease; those of etcd's Go package have none. */
function isOurs(key: string): boolean {
  return key.slice(key.lastIndexOf('/')).includes('-');
}
