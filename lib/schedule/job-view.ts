import type { Follower } from '../replica/replica.ts';
import type { Replicas, ReplicaShare } from '../replica/replicas.ts';
import type { KeyValue } from '../store/store.ts';
import { readMark, readRun, readSettled, type Settled, type StoredRun } from './record.ts';

export interface JobKeys {
  readonly prefix: string;
  readonly last: string;
  readonly paused: string;
  readonly trigger: string;
  readonly history: string;
}

/** A run that a leader has still to do something about: nobody has said how it ended, or it is to be started once more. */
export interface OpenRun {
  readonly key: string;
  readonly modRevision: bigint;
  readonly run: StoredRun;
}

/** A job as the store has it, at one revision. */
export interface JobState {
  /** Up to where it is settled; `undefined` before its first leader. */
  readonly settled: Settled | undefined;
  /** The mod revision under which that stands; 0 for none. */
  readonly settledRevision: bigint;
  readonly isPaused: boolean;
  readonly request: { readonly atMs: number; readonly modRevision: bigint } | undefined;
  /** In the order in which they were started. */
  readonly open: readonly OpenRun[];
  /** The keys in history. */
  readonly history: ReadonlySet<string>;
  /** Those of them that may be deleted, the oldest first. */
  readonly prunable: readonly string[];
  /** A key whose value is not ours. What rests on it stands still until somebody removes it. */
  readonly unreadable: string | undefined;
}

/** How often it is proved that nothing is missed, in milliseconds. Claims compare what they rest on, so nothing rests on this. */
const FRESHNESS_MS = 60_000;

const MAX_ENTRIES = 10_000;
const MAX_BYTES = 64 * 1_024 * 1_024;

/** What a leader sees of its job, kept up by a watch while it leads. Those who do not lead have none, and cost etcd nothing. */
export class JobView implements Follower {
  readonly #keys: JobKeys;
  readonly #share: ReplicaShare;
  readonly #onChange: () => void;
  readonly #unfollow: () => void;
  #state: JobState | undefined;

  constructor(replicas: Replicas, keys: JobKeys, onChange: () => void) {
    this.#keys = keys;
    this.#onChange = onChange;
    this.#share = replicas.open({
      span: { prefix: keys.prefix },
      freshnessMs: FRESHNESS_MS,
      maxEntries: MAX_ENTRIES,
      maxBytes: MAX_BYTES,
      hasSnapshot: false,
    });
    this.#unfollow = this.#share.replica.follow(this);
  }

  get state(): JobState {
    this.#state ??= readState(this.#keys, this.#share.replica.entries);
    return this.#state;
  }

  /** Resolves once everything up to the call is known, through raft. Rejects with a StoreError or `signal.reason`. */
  confirm(signal: AbortSignal): Promise<void> {
    return this.#share.replica.confirm(signal);
  }

  /** Resolves once everything up to the revision is known. */
  reached(revision: bigint, signal: AbortSignal): Promise<void> {
    return this.#share.replica.reached(revision, signal);
  }

  changed(): void {
    this.#state = undefined;
    this.#onChange();
  }

  close(): Promise<void> {
    this.#unfollow();
    return this.#share.release();
  }
}

export function readState(keys: JobKeys, entries: ReadonlyMap<string, KeyValue>): JobState {
  const last = entries.get(keys.last);
  const settled = last === undefined ? undefined : readSettled(last);
  const trigger = entries.get(keys.trigger);
  const mark = trigger === undefined ? undefined : readMark(trigger);
  const history = [...entries.values()]
    .filter(({ key }) => key.startsWith(keys.history))
    .toSorted((a, b) => Number(a.createRevision - b.createRevision));
  const open: OpenRun[] = [];
  const prunable: string[] = [];
  for (const entry of history) {
    const run = readRun(entry);
    if (run?.state === 'started' || run?.isRetryDue === true)
      open.push({ key: entry.key, modRevision: entry.modRevision, run });
    else prunable.push(entry.key);
  }
  return {
    settled,
    settledRevision: last?.modRevision ?? 0n,
    isPaused: entries.has(keys.paused),
    request:
      trigger === undefined || mark === undefined ? undefined : { atMs: mark.atMs, modRevision: trigger.modRevision },
    open,
    history: new Set(history.map(({ key }) => key)),
    prunable,
    unreadable:
      last !== undefined && settled === undefined
        ? keys.last
        : trigger !== undefined && mark === undefined
          ? keys.trigger
          : undefined,
  };
}
