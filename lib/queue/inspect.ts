import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { askedAtOf, leaseHex, leaseOfQueueKey, type Keyspace } from '../session/keyspace.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, RangeRequest, Store, Transaction } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { readEpoch } from './epoch.ts';
import { packToken } from './token.ts';

/** Somebody in a wait queue, as etcd shows it. */
export interface Contender {
  /** Who it is; `undefined` for clients other than this package. */
  readonly instanceId: string | undefined;
  /** The create revision of its key: its place in the queue. */
  readonly createRevision: bigint;
  /** When it was asked for, by the clock of whoever asked; `undefined` for clients other than this package. */
  readonly askedAt: Date | undefined;
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
  /** Who has it; absent while nobody does. */
  readonly holder?: Holder;
  /** In the order in which they will get it. */
  readonly waiters: readonly Contender[];
}

/** Session keys are read in transactions of at most this many operations; etcd's default limit is 128. */
const NAMES_PER_CALL = 100;

/** Of those who are in front of somebody, so many are looked at. */
const MOST_RIVALS = 16;

/** What several may have at once, at one revision. */
export interface SharedReport {
  /** Those that hold it, of a semaphore by their slots. */
  readonly holders: readonly SharedHolder[];
  /** In the order in which they asked. */
  readonly waiters: readonly Contender[];
}

/** One of several that hold it. */
export interface SharedHolder extends Holder {
  /** Of a semaphore: the number of the slot. */
  readonly slot?: number;
}

/** What a look into a queue needs. */
export interface Reading {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly repetition: Repetition;
  readonly keyspace: Keyspace;
  readonly prefix: string;
  readonly signal: AbortSignal;
}

/** Who holds a queue and who waits, read through raft: not stale, even on servers whose linearizable reads can be. Two calls. */
export async function inspectQueue(reading: Reading): Promise<QueueReport> {
  const { tokenOf, contenders } = await read(reading);
  return reportOf(contenders, tokenOf);
}

/** As {@link inspectQueue}, of each of the queues that are below one prefix, by what comes next in their keys. */
export async function inspectParts(reading: Reading): Promise<ReadonlyMap<string, QueueReport>> {
  const { tokenOf, contenders } = await read(reading);
  const parts = new Map<string, Contender[]>();
  for (const contender of contenders) {
    const [part = ''] = contender.key.slice(reading.prefix.length).split('/');
    const others = parts.get(part);
    if (others === undefined) parts.set(part, [contender]);
    else others.push(contender);
  }
  return new Map([...parts].map(([part, some]) => [part, reportOf(some, tokenOf)]));
}

/** Of those that came before a create revision, the first in the queue: each who waits asks, so it must not be all of a long one. Two calls. */
export async function inspectRivals(reading: Reading, before: bigint): Promise<readonly Contender[]> {
  const { contenders } = await read(reading, { only: { limit: MOST_RIVALS, maxCreateRevision: before - 1n } });
  return contenders;
}

/** As {@link inspectQueue}, where those under `writers` have it alone and the others together. */
export async function inspectShared(reading: Reading, writers: string): Promise<SharedReport> {
  const { tokenOf, contenders } = await read(reading);
  const isWriter = ({ key }: Contender): boolean => key.startsWith(writers);
  const firstWriter = contenders.findIndex(isWriter);
  const count = firstWriter === 0 ? 1 : firstWriter === -1 ? contenders.length : firstWriter;
  const holders = contenders
    .slice(0, count)
    .map((holder) => withDecimals({ ...holder, token: tokenOf(holder.createRevision) }));
  return { holders, waiters: contenders.slice(count) };
}

/** As {@link inspectQueue}, where each holder has a slot below the prefix `slots`. */
export async function inspectSlots(reading: Reading, slots: string): Promise<SharedReport> {
  const { tokenOf, contenders, others } = await read(reading, { besides: slots });
  const places = new Map(contenders.map((contender) => [contender.key, contender]));
  const holders = others.flatMap((entry) => {
    const place = places.get(entry.value);
    const slot = Number(entry.key.slice(slots.length));
    return place === undefined ? [] : [withDecimals({ ...place, token: tokenOf(entry.createRevision), slot })];
  });
  const holding = new Set(holders.map(({ key }) => key));
  return {
    holders: holders.toSorted((a, b) => a.slot - b.slot),
    waiters: contenders.filter(({ key }) => !holding.has(key)),
  };
}

function reportOf([first, ...waiters]: readonly Contender[], tokenOf: (createRevision: bigint) => bigint): QueueReport {
  if (first === undefined) return { waiters: [] };
  return { holder: withDecimals({ ...first, token: tokenOf(first.createRevision) }), waiters };
}

interface Reach {
  /** The prefix of what else is read. */
  readonly besides?: string;
  /** Absent: everybody. */
  readonly only?: Pick<RangeRequest, 'limit' | 'maxCreateRevision'>;
}

/** Who is in the queue, in the order of their coming, and what else is below a prefix. */
async function read(
  { runtime, store, repetition, keyspace, prefix, signal }: Reading,
  { besides, only = {} }: Reach = {},
): Promise<{
  readonly contenders: readonly Contender[];
  readonly others: readonly KeyValue[];
  readonly tokenOf: (createRevision: bigint) => bigint;
}> {
  const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
  const ask = (transaction: Transaction) =>
    repeat(runtime, repetition, () => store.transact(transaction, options), { signal });

  const { responses } = await ask(
    rangeThroughRaft(
      { key: keyspace.epoch },
      { prefix, sort: { by: 'create', order: 'ascend' }, ...only },
      ...(besides === undefined ? [] : [{ prefix: besides }]),
    ),
  );
  const epoch = readEpoch(keyspace.epoch, entriesOf(responses[0])[0]);
  const keys = entriesOf(responses[1]);

  const names = new Map<bigint, string | undefined>();
  const leases = [...new Set(keys.map(leaseOf))];
  for (let start = 0; start < leases.length; start += NAMES_PER_CALL) {
    const some = leases.slice(start, start + NAMES_PER_CALL);
    const { responses: sessions } = await ask({
      compare: [],
      then: some.map((lease) => ({ type: 'range', key: keyspace.session(lease) })),
    });
    for (const [index, lease] of some.entries()) names.set(lease, instanceIdOf(entriesOf(sessions[index])[0]));
  }
  return {
    contenders: keys.map((entry) => contender(entry, names.get(leaseOf(entry)))),
    others: entriesOf(responses[2]),
    tokenOf: (revision) => packToken({ epoch, revision, handoff: 0 }),
  };
}

/** Somebody in a queue, by the key. */
export function contender(entry: KeyValue, instanceId: string | undefined): Contender {
  const { key, createRevision } = entry;
  const askedMs = askedAtOf(key);
  const askedAt = askedMs === undefined ? undefined : new Date(askedMs);
  return withDecimals({ instanceId, createRevision, askedAt, lease: leaseHex(leaseOf(entry)), key });
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
