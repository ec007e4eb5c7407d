/**
 * What a whole namespace is about, at one revision: who is there, who holds what and who waits for it, who leads, who has registered, and which
 * config has come how far. One transaction through raft, so that it fits together and is not stale; for people and dashboards, and for nothing
 * on a hot path: it reads every queue.
 */
import { lastWords, type RolloutReport } from '../config/rollout.ts';
import { readEpoch } from '../queue/epoch.ts';
import { contender, instanceIdOf, leaseOf, type Contender, type SharedHolder } from '../queue/inspect.ts';
import { packToken } from '../queue/token.ts';
import { membersOf, type Member } from '../registry/member.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { decodePath, leaseHex, type Keyspace, type QueueKind } from '../session/keyspace.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, RangeRequest, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';

/** A process that has a session. */
export interface SurveyedSession {
  /** Who it is; `undefined` where its key does not say. */
  readonly instanceId: string | undefined;
  /** As etcd's tools print it. */
  readonly lease: string;
}

/** Something that is held, or waited for. Of a partition, its number is part of the name. */
export interface SurveyedQueue {
  /** What it is a queue of. */
  readonly kind: QueueKind;
  /** As its users call it. */
  readonly name: string;
  /** One at most, but for semaphores and readers. */
  readonly holders: readonly SharedHolder[];
  /** In the order in which they asked. */
  readonly waiters: readonly Contender[];
  /** What the leader of an election has proclaimed. */
  readonly value?: string;
}

/** Members of a registry, or of partitions, by what they say of themselves. */
export interface SurveyedRegistry {
  readonly kind: 'registry' | 'partition-member';
  readonly name: string;
  readonly members: readonly Member[];
}

/** A config, and how far it has come. */
export interface SurveyedConfig {
  /** As its users call it. */
  readonly name: string;
  /** The newest version in its history; 0 if there is none. */
  readonly version: number;
  /** What each instance says that it has applied or refused. */
  readonly reports: readonly RolloutReport[];
}

/** A scheduled job. Who leads it is among the queues of the kind `schedule`. */
export interface SurveyedJob {
  readonly name: string;
  readonly isPaused: boolean;
}

/** A whole namespace at one revision. */
export interface Survey {
  /** etcd's, at which all of it was so. */
  readonly revision: bigint;
  /** The operator's; 0 where none was set. */
  readonly epoch: number;
  /** The processes that are there, and those that vanished and whose lease has not ended. */
  readonly sessions: readonly SurveyedSession[];
  /** What is held or waited for; what is neither leaves nothing to be seen. */
  readonly queues: readonly SurveyedQueue[];
  /** Those with a member. */
  readonly registries: readonly SurveyedRegistry[];
  /** Those with a history, or with an instance that follows them. */
  readonly configs: readonly SurveyedConfig[];
  /** Those of which anything is written down. */
  readonly jobs: readonly SurveyedJob[];
  /** Kinds of which there are more than 10,000 keys: the rest of them is not in here. */
  readonly incomplete: readonly string[];
}

const QUEUES: readonly QueueKind[] = ['lock', 'election', 'schedule', 'semaphore', 'rwlock', 'partition', 'once-turn'];
const REGISTRIES = ['registry', 'partition-member'] as const;

/** Of each kind; a namespace with more of one is more than anybody can look at. */
const MOST = 10_000;

/** Reads a namespace. Rejects with a StoreError or with `signal.reason`. */
export async function survey(
  runtime: Runtime,
  store: Store,
  repetition: Repetition,
  keyspace: Keyspace,
  signal: AbortSignal,
): Promise<Survey> {
  const ranges = rangesOf(keyspace);
  const call = { timeoutMs: repetition.attemptTimeoutMs, signal };
  const [first, ...others] = Object.values(ranges) as [RangeRequest, ...RangeRequest[]];
  const ask = () => store.transact(rangeThroughRaft(first, ...others), call);
  const { revision, responses } = await repeat(runtime, repetition, ask, { signal });
  const incomplete = Object.keys(ranges).filter((_, index) => {
    const response = responses[index];
    return response?.type === 'range' && response.count > response.entries.length;
  });
  const found = Object.fromEntries(
    Object.keys(ranges).map((name, index) => [name, entriesOf(responses[index])]),
  ) as Readonly<Record<keyof ReturnType<typeof rangesOf>, readonly KeyValue[]>>;
  const epoch = readEpoch(keyspace.epoch, found.epoch[0]);
  const names = namesOf(found.sessions, keyspace.kind('session'));
  const context = { epoch, nameOf: (lease: bigint) => names.get(leaseHex(lease)), slots: found.slots };
  return withDecimals({
    revision,
    epoch,
    sessions: [...names].map(([lease, instanceId]) => ({ instanceId, lease })),
    queues: QUEUES.flatMap((kind) => queuesOf(kind, found[kind], keyspace.kind(kind), context)),
    registries: REGISTRIES.flatMap((kind) => registriesOf(kind, found[kind], keyspace.kind(kind))),
    configs: configsOf(found.history, keyspace.kind('config-history'), found.rollout, keyspace.kind('config-rollout')),
    jobs: jobsOf(found.jobs, keyspace.kind('schedule-job')),
    incomplete,
  });
}

function rangesOf(keyspace: Keyspace) {
  const all = (kind: string): RangeRequest => ({ prefix: keyspace.kind(kind), limit: MOST });
  const queue = (kind: string): RangeRequest => ({ ...all(kind), sort: { by: 'create', order: 'ascend' } });
  const keys = (kind: string): RangeRequest => ({ ...all(kind), keysOnly: true });
  return {
    epoch: { key: keyspace.epoch },
    sessions: all('session'),
    lock: queue('lock'),
    election: queue('election'),
    schedule: queue('schedule'),
    semaphore: queue('semaphore'),
    rwlock: queue('rwlock'),
    partition: queue('partition'),
    'once-turn': queue('once-turn'),
    slots: all('semaphore-slot'),
    registry: all('registry'),
    'partition-member': all('partition-member'),
    history: keys('config-history'),
    rollout: all('config-rollout'),
    jobs: keys('schedule-job'),
  } satisfies Readonly<Record<string, RangeRequest>>;
}

interface QueueContext {
  readonly epoch: number;
  readonly nameOf: (lease: bigint) => string | undefined;
  readonly slots: readonly KeyValue[];
}

function queuesOf(
  kind: QueueKind,
  entries: readonly KeyValue[],
  root: string,
  { epoch, nameOf, slots }: QueueContext,
): readonly SurveyedQueue[] {
  /* Of a read-write lock the sides are in one queue, and of partitions each number is one. */
  const parts = kind === 'partition' ? 2 : 1;
  return [...grouped(entries, root, parts)].map(([path, queue]) => {
    const contenders = queue.map((entry) => contender(entry, nameOf(leaseOf(entry))));
    const held = (who: Contender, revision: bigint, slot?: number): SharedHolder =>
      withDecimals({
        ...who,
        token: packToken({ epoch, revision, handoff: 0 }),
        ...(slot === undefined ? {} : { slot }),
      });
    const owned =
      kind === 'semaphore'
        ? slots.flatMap((slot) => {
            const place = contenders.find(({ key }) => key === slot.value);
            const number = Number(slot.key.slice(slot.key.lastIndexOf('/') + 1));
            return place === undefined ? [] : [held(place, slot.createRevision, number)];
          })
        : contenders.slice(0, together(kind, contenders)).map((each) => held(each, each.createRevision));
    const holding = new Set(owned.map(({ key }) => key));
    const [first] = queue;
    return {
      kind,
      name: decodePath(path),
      holders: owned,
      waiters: contenders.filter(({ key }) => !holding.has(key)),
      ...(kind === 'election' && first !== undefined ? { value: first.value } : {}),
    };
  });
}

/** So many of the first have it at a time. */
function together(kind: QueueKind, contenders: readonly Contender[]): number {
  if (kind !== 'rwlock') return 1;
  const writer = contenders.findIndex(({ key }) => key.includes('/write/'));
  return writer === -1 ? contenders.length : Math.max(1, writer);
}

function registriesOf(
  kind: SurveyedRegistry['kind'],
  entries: readonly KeyValue[],
  root: string,
): readonly SurveyedRegistry[] {
  return [...grouped(entries, root, 1)].map(([path, members]) => ({
    kind,
    name: decodePath(path),
    members: membersOf(members),
  }));
}

function configsOf(
  history: readonly KeyValue[],
  historyRoot: string,
  rollout: readonly KeyValue[],
  rolloutRoot: string,
): readonly SurveyedConfig[] {
  const versions = grouped(history, historyRoot, 1);
  const reports = grouped(rollout, rolloutRoot, 1);
  return [...new Set([...versions.keys(), ...reports.keys()])].toSorted().map((path) => ({
    name: decodePath(path),
    version: Math.max(0, ...(versions.get(path) ?? []).map(versionOf)),
    reports: lastWords(reports.get(path) ?? []),
  }));
}

/** By its key in the history; 0 for what somebody else has put there. */
function versionOf({ key }: KeyValue): number {
  const version = Number(key.slice(key.lastIndexOf('/') + 1));
  return Number.isSafeInteger(version) ? version : 0;
}

function jobsOf(entries: readonly KeyValue[], root: string): readonly SurveyedJob[] {
  return [...grouped(entries, root, 1)].map(([path, keys]) => ({
    name: decodePath(path),
    isPaused: keys.some(({ key }) => key === `${root}${path}/paused`),
  }));
}

/** By the first segments behind the root. */
function grouped(
  entries: readonly KeyValue[],
  root: string,
  segments: number,
): ReadonlyMap<string, readonly KeyValue[]> {
  const groups = new Map<string, KeyValue[]>();
  for (const entry of entries) {
    const path = entry.key.slice(root.length).split('/').slice(0, segments).join('/');
    const group = groups.get(path);
    if (group === undefined) groups.set(path, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** By lease. What else is below a session's key is no session. */
function namesOf(entries: readonly KeyValue[], root: string): ReadonlyMap<string, string | undefined> {
  const own = entries.filter(({ key }) => !key.slice(root.length).includes('/'));
  return new Map(own.map((entry) => [entry.key.slice(root.length), instanceIdOf(entry)]));
}
