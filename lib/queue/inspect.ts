import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { leaseHex, leaseOfQueueKey, type Keyspace } from '../session/keyspace.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, Store, Transaction } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { readEpoch } from './epoch.ts';
import { packToken } from './token.ts';

/** Somebody in a wait queue, as etcd shows it. */
export interface Contender {
  /** Who it is; `undefined` for clients other than this package. */
  readonly instanceId: string | undefined;
  /** The create revision of its key: its place in the queue. */
  readonly createRevision: bigint;
  /** The lease that its key is on, as etcd's tools print it. */
  readonly lease: string;
  /** Its key in etcd. */
  readonly key: string;
}

/** The contender that holds it. */
export interface Holder extends Contender {
  /** A floor: handoffs inside the holder's process do not show in etcd. */
  readonly token: bigint;
}

/** A wait queue at one revision. It was true then; it may not be any more when it is read. */
export interface QueueReport {
  readonly holder?: Holder;
  /** In the order in which they will get it. */
  readonly waiters: readonly Contender[];
}

/** Session keys are read in transactions of at most this many operations; etcd's default limit is 128. */
const NAMES_PER_CALL = 100;

/** Who holds a queue and who waits, read through raft: not stale, even on servers whose linearizable reads can be. Two calls. */
export async function inspectQueue(
  runtime: Runtime,
  store: Store,
  repetition: Repetition,
  keyspace: Keyspace,
  prefix: string,
  signal: AbortSignal,
): Promise<QueueReport> {
  const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
  const read = (transaction: Transaction) =>
    repeat(runtime, repetition, () => store.transact(transaction, options), { signal });

  const { responses } = await read(
    rangeThroughRaft({ key: keyspace.epoch }, { prefix, sort: { by: 'create', order: 'ascend' } }),
  );
  const epoch = readEpoch(keyspace.epoch, entriesOf(responses[0])[0]);
  const keys = entriesOf(responses[1]);

  const names = new Map<bigint, string | undefined>();
  const leases = [...new Set(keys.map(leaseOf))];
  for (let start = 0; start < leases.length; start += NAMES_PER_CALL) {
    const some = leases.slice(start, start + NAMES_PER_CALL);
    const { responses: sessions } = await read({
      compare: [],
      then: some.map((lease) => ({ type: 'range', key: keyspace.session(lease) })),
    });
    for (const [index, lease] of some.entries()) names.set(lease, instanceIdOf(entriesOf(sessions[index])[0]));
  }

  const [first, ...rest] = keys.map((entry) => contender(entry, names.get(leaseOf(entry))));
  if (first === undefined) return { waiters: [] };
  const token = packToken({ epoch, revision: first.createRevision, handoff: 0 });
  const holder: Holder = withDecimals({ ...first, token });
  return { holder, waiters: rest };
}

function contender(entry: KeyValue, instanceId: string | undefined): Contender {
  const { key, createRevision } = entry;
  return withDecimals({ instanceId, createRevision, lease: leaseHex(leaseOf(entry)), key });
}

/** The lease that a queue key is of, also where it is not on it. */
export function leaseOf(entry: KeyValue): bigint {
  return leaseOfQueueKey(entry.key) ?? entry.lease;
}

/** Who a session key says it is. */
export function instanceIdOf(entry: KeyValue | undefined): string | undefined {
  if (entry === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(entry.value);
    if (typeof value !== 'object' || value === null || !('instanceId' in value)) return undefined;
    return typeof value.instanceId === 'string' ? value.instanceId : undefined;
  } catch {
    return undefined;
  }
}
