import { LimitExceededError, VersionConflictError } from '../errors.ts';
import { withDecimals } from '../runtime/decimals.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Operations } from '../session/operations.ts';
import { entriesOf } from '../store/entries.ts';
import { repeat, type Repetition } from '../store/repeat.ts';
import type { KeyValue, Store } from '../store/store.ts';
import { rangeThroughRaft } from '../store/through-raft.ts';
import { seal, unseal, versionOf, type Envelope } from './envelope.ts';
import type { Json } from './schema.ts';

/** What is kept of an entry's past. The write of version N deletes version N − 100 of history. */
export const HISTORY_LIMIT = 100;

/** A write without `ifVersion` that meets another write looks again so many times. */
const ATTEMPTS = 32;

/** etcd refuses larger requests by default; a version is written twice, as the current one and into history. */
const MAX_BYTES = 700_000;

/** A version of an entry, as history keeps it. The value is what was written, before any schema. */
export interface ConfigVersion {
  /** From 1. */
  readonly version: number;
  /** As JSON carried it. */
  readonly value: Json;
  /** The instance that wrote it. */
  readonly by: string;
  /** etcd's revision of its write. */
  readonly revision: bigint;
}

export interface ConfigKeys {
  readonly current: string;
  readonly history: string;
  readonly rollout: string;
}

/** What has to stand there for a write to be done; 0 is nothing. */
export interface Expected {
  readonly version?: number;
  readonly revision?: bigint;
}

/**
 * Writes versions of an entry. Each is one transaction: the current value, its copy in history, and the end of the oldest copy. It compares
 * the current value it has looked at, and that its version is new; a version is the newest in history + 1, also after a delete, so that
 * an old `ifVersion` never fits a new life of the entry.
 */
export class ConfigWriter {
  readonly #runtime: Runtime;
  readonly #store: Store;
  readonly #repetition: Repetition;
  readonly #operations: Operations;
  readonly #keys: ConfigKeys;
  readonly #name: string;
  readonly #instanceId: string;

  constructor(
    runtime: Runtime,
    store: Store,
    repetition: Repetition,
    operations: Operations,
    keys: ConfigKeys,
    { name, instanceId }: { readonly name: string; readonly instanceId: string },
  ) {
    this.#runtime = runtime;
    this.#store = store;
    this.#repetition = repetition;
    this.#operations = operations;
    this.#keys = keys;
    this.#name = JSON.stringify(name);
    this.#instanceId = instanceId;
  }

  /** Resolves to the version and the revision of the write. */
  async set(
    value: Json,
    expected: Expected,
    signal: AbortSignal,
  ): Promise<{ readonly version: number; readonly revision: bigint }> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { current, latest } = await this.#look(signal);
      this.#expectCurrent(current, expected);
      const version = latest + 1;
      const text = seal({ version, value, by: this.#instanceId });
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_BYTES) {
        throw new LimitExceededError(
          `Could not set config ${this.#name}: it has ${bytes} bytes, and ${MAX_BYTES} is the limit.`,
        );
      }
      const past = this.#historyKey(version);
      const { succeeded, revision } = await this.#operations.commit(
        {
          compare: [
            { key: this.#keys.current, target: 'mod', is: '=', than: current?.modRevision ?? 0n },
            { key: past, target: 'create', is: '=', than: 0n },
          ],
          then: [
            { type: 'put', key: this.#keys.current, value: text },
            { type: 'put', key: past, value: text },
            ...(version > HISTORY_LIMIT
              ? [{ type: 'delete' as const, key: this.#historyKey(version - HISTORY_LIMIT) }]
              : []),
          ],
        },
        signal,
      );
      if (succeeded) return { version, revision };
    }
    throw this.#conflict(`others have written it ${ATTEMPTS} times in the meantime`);
  }

  /** Resolves to the revision of the delete, or to nothing if there was none to delete. */
  async delete(ifVersion: number | undefined, signal: AbortSignal): Promise<bigint | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { current } = await this.#look(signal);
      this.#expectCurrent(current, ifVersion === undefined ? {} : { version: ifVersion });
      if (current === undefined) return undefined;
      const { succeeded, revision } = await this.#operations.commit(
        {
          compare: [{ key: this.#keys.current, target: 'mod', is: '=', than: current.modRevision }],
          then: [{ type: 'delete', key: this.#keys.current }],
        },
        signal,
      );
      if (succeeded) return revision;
    }
    throw this.#conflict(`others have written it ${ATTEMPTS} times in the meantime`);
  }

  /** The newest versions, the newest first. */
  async history(limit: number, signal: AbortSignal): Promise<readonly ConfigVersion[]> {
    const entries = await this.#read(signal, {
      prefix: this.#keys.history,
      sort: { by: 'key', order: 'descend' },
      limit,
    });
    return (entries[0] ?? []).flatMap((entry) => {
      try {
        return [versionFrom(entry)];
      } catch {
        /* What somebody else put there is no version of ours. */
        return [];
      }
    });
  }

  /** What was written as `version`. Rejects with VersionConflictError if history does not have it any more. */
  async past(version: number, signal: AbortSignal): Promise<Envelope> {
    const [[entry] = []] = await this.#read(signal, { key: this.#historyKey(version) });
    if (entry === undefined)
      throw this.#conflict(`its history has no version ${version}; it keeps the newest ${HISTORY_LIMIT}`);
    return unseal(entry);
  }

  /** What each instance has applied. */
  async rollout(signal: AbortSignal): Promise<readonly KeyValue[]> {
    const [entries = []] = await this.#read(signal, { prefix: this.#keys.rollout });
    return entries;
  }

  async #look(signal: AbortSignal): Promise<{ readonly current: KeyValue | undefined; readonly latest: number }> {
    const newest = { prefix: this.#keys.history, sort: { by: 'key', order: 'descend' }, limit: 1 } as const;
    const [[current] = [], [last] = []] = await this.#read(signal, { key: this.#keys.current }, newest);
    return { current, latest: Math.max(versionOf(current) ?? 0, versionOf(last) ?? 0) };
  }

  async #read(
    signal: AbortSignal,
    ...ranges: Parameters<typeof rangeThroughRaft>
  ): Promise<readonly (readonly KeyValue[])[]> {
    const call = { timeoutMs: this.#repetition.attemptTimeoutMs, signal };
    const read = () => this.#store.transact(rangeThroughRaft(...ranges), call);
    const { responses } = await repeat(this.#runtime, this.#repetition, read, { signal });
    return responses.map(entriesOf);
  }

  #expectCurrent(current: KeyValue | undefined, expected: Expected): void {
    const version = current === undefined ? 0 : versionOf(current);
    if (expected.version !== undefined && version !== expected.version)
      throw this.#conflict(`its version is ${version ?? 'not readable'}, and ${expected.version} was expected`);
    const revision = current?.modRevision ?? 0n;
    if (expected.revision !== undefined && revision !== expected.revision)
      throw this.#conflict(`its revision is ${revision}, and ${expected.revision} was expected`);
  }

  #conflict(why: string): VersionConflictError {
    return new VersionConflictError(`Could not write config ${this.#name}: ${why}. Nothing was written.`);
  }

  /** Ten digits, so that the order of the keys is the order of the versions. */
  #historyKey(version: number): string {
    return `${this.#keys.history}${String(version).padStart(10, '0')}`;
  }
}

function versionFrom(entry: KeyValue): ConfigVersion {
  return withDecimals({ ...unseal(entry), revision: entry.modRevision });
}
