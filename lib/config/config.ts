/**
 * A config entry: a JSON value with versions, answered from memory.
 *
 * Guarantees. `get` does no I/O. An invalid new version never replaces a good one. Versions seen by one reader only rise, and a version is
 * one value: 3 is never another 3. What is served was the store's at some revision, and its age is at least the true staleness.
 *
 * Not guaranteed. That every process has applied a version when `set` resolves: `rollout()` tells which have.
 */
import { expectFunction, expectOptions, expectSignal, expectWholeNumber } from '../arguments.ts';
import { ConfigInvalidError, CoordinationUnavailableError, VersionConflictError } from '../errors.ts';
import { isSame } from '../replica/contents.ts';
import { ReaderCalls, type ReaderContext } from '../replica/reader-calls.ts';
import type { Replica } from '../replica/replica.ts';
import type { Replicas, ReplicaShare } from '../replica/replicas.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { sleep } from '../runtime/clock.ts';
import { tell } from '../runtime/diagnostics.ts';
import { Latest } from '../sequence/latest.ts';
import { mapped } from '../sequence/mapped.ts';
import type { Sequence } from '../sequence/sequence.ts';
import type { KeyValue } from '../store/store.ts';
import { Entry, type ConfigEntry } from './config-entry.ts';
import type { CompleteConfigOptions } from './config-options.ts';
import {
  HISTORY_LIMIT,
  type ConfigKeys,
  type ConfigVersion,
  type ConfigWriter,
  type Expected,
} from './config-writer.ts';
import { unseal, versionOf } from './envelope.ts';
import type { Rollout, RolloutReport } from './rollout.ts';
import { copyOf, expectJson, validate, type DeepReadonly } from './value.ts';

/** What a config needs of its coordinator. */
export interface ConfigContext extends ReaderContext {
  readonly replicas: Replicas;
  readonly writer: ConfigWriter;
  readonly rollout: Rollout;
  readonly keys: ConfigKeys;
  /** Called when the config is closed. */
  readonly onClose: () => void;
}

/** Under what condition to write. */
export interface ConfigWriteOptions {
  /** Only if the entry is at this version; 0: only if there is none. Without it the last writer wins. */
  readonly ifVersion?: number | undefined;
  /** Ends the waiting; OutcomeUnknownError if the write was sent by then and not answered. */
  readonly signal?: AbortSignal | undefined;
}

/** What is known: nothing yet, or that there is none, or only a version that is not served and why, or the last good version. */
type Known<T> =
  | { readonly is: 'unknown' }
  | { readonly is: 'absent' }
  | { readonly is: 'refused'; readonly why: Error }
  | { readonly is: 'good'; readonly entry: Entry<T> };

/** How often `update` calls its function anew when others write in between, and how long it lets them: who is slower would always lose. */
const UPDATE_ATTEMPTS = 10;
const UPDATE_PAUSE = { baseMs: 20, capMs: 1_000 };

/** A page of history at most. */
const HISTORY_DEFAULT = 20;

/**
 * A JSON value with versions, kept in memory and checked by a schema. Made by `coordinator.config`. `Input` is what is written, `Output` what the
 * schema makes of it and what is read. Versions that one reader sees only rise, and an invalid one never replaces a good one.
 */
export class Config<Input, Output> implements AsyncDisposable {
  /** As it was given to the coordinator. */
  readonly name: string;
  readonly #context: ConfigContext;
  readonly #calls: ReaderCalls;
  readonly #options: CompleteConfigOptions<Output>;
  readonly #share: ReplicaShare;
  readonly #replica: Replica;
  readonly #known = new Latest<Known<Output>>({ is: 'unknown' });
  readonly #fallback: Entry<Output> | undefined;
  readonly #unfollow: () => void;
  /** What the entry that is known was made of. */
  #opened: KeyValue | undefined;
  #isClosed = false;

  /** @internal */
  constructor(context: ConfigContext, name: string, options: CompleteConfigOptions<Output>) {
    this.name = name;
    this.#context = context;
    this.#options = options;
    const shown = JSON.stringify(name);
    this.#calls = new ReaderCalls(context, { subject: `Config ${shown}`, object: `config ${shown}` });
    this.#share = context.replicas.open({
      span: { key: context.keys.current },
      freshnessMs: options.freshnessMs,
      maxEntries: 1,
      maxBytes: Number.MAX_SAFE_INTEGER,
    });
    this.#replica = this.#share.replica;
    const { fallback } = options;
    this.#fallback = fallback === undefined ? undefined : new Entry(this.#replica, fallback.value, 0, 0n);
    if (this.#replica.origin !== 'nothing') this.#apply();
    this.#unfollow = this.#replica.follow({ changed: () => this.#apply() });
  }

  /**
   * Resolves once it is known what the store has, be it a version that is refused. Rejects with CoordinationUnavailableError after `timeoutMs`
   * (default: the request's deadline), AccessDeniedError, ClosedError, `signal.reason`.
   */
  async ready(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    expectOptions('ready', options, ['timeoutMs', 'signal']);
    await this.#calls.read('read', { ...options, why: this.#why }, (signal) => this.#replica.reached(0n, signal));
  }

  /**
   * The entry from memory; no I/O. `undefined`: known to be absent, and there is no fallback. Where there is none, throws
   * CoordinationUnavailableError while nothing is known, and ConfigInvalidError while there is a version that this process refuses and no good one
   * to keep: none was seen, or it was deleted; with `onStale: 'throw'`, TooStaleError for what is older than `maxStalenessMs`.
   */
  get(): ConfigEntry<Output> | undefined {
    const known = this.#known.value;
    if ((known.is === 'good' || known.is === 'absent') && this.#options.isStrict) {
      this.#calls.expectFresh(this.#replica, this.#options.maxStalenessMs);
    }
    if (known.is === 'good') return known.entry;
    if (this.#fallback !== undefined || known.is === 'absent') return this.#fallback;
    if (known.is === 'refused') {
      throw new ConfigInvalidError(
        `Of config ${JSON.stringify(this.name)} only a version is known that this process does not serve, and there is no fallback: ${known.why.message}`,
        { cause: known.why },
      );
    }
    throw new CoordinationUnavailableError(
      `Nothing is known of config ${JSON.stringify(this.name)} yet, and it has no fallback. Await ready(), or give it one.`,
      { cause: this.#replica.failure },
    );
  }

  /**
   * The current entry first (as soon as anything is known, or the fallback), then each newer one; `undefined` where it is known to be
   * absent. What is refused is not shown. A slow reader gets the newest; versions that were skipped show as `resynced`.
   */
  watch(options: { readonly signal?: AbortSignal | undefined } = {}): Sequence<ConfigEntry<Output> | undefined> {
    expectOptions('watch', options, ['signal']);
    let last: number | undefined;
    let shown: Entry<Output> | undefined;
    return mapped(this.#known.watch(expectSignal(options.signal)), (known) => {
      const entry = known.is === 'good' ? known.entry : this.#fallback;
      /* Of itself a refusal is no news, but whom it finds with a good version has missed its deletion. */
      if ((known.is === 'unknown' || known.is === 'refused') && entry === shown) return undefined;
      shown = entry;
      /* Also where it went down, in a store that was restored. */
      const hasGap = last !== undefined && entry !== undefined && entry.version > 0 && entry.version !== last + 1;
      if (entry !== undefined && entry.version > 0) last = entry.version;
      return { value: hasGap ? entry?.afterGap() : entry };
    });
  }

  /**
   * Writes a new version, and resolves to it once this process has it. Rejects with ConfigInvalidError before anything is sent,
   * VersionConflictError, LimitExceededError, CoordinationUnavailableError (at once while degraded: nothing is queued; or it was written, and this
   * process has not seen it by the deadline, as the message then says), OutcomeUnknownError, AccessDeniedError, ClosedError.
   */
  async set(value: Input, options: ConfigWriteOptions = {}): Promise<ConfigEntry<Output>> {
    const version = this.#checkWrite('set', options);
    return this.#set(value, version === undefined ? {} : { version }, options.signal);
  }

  async #set(value: Input, expected: Expected, caller: AbortSignal | undefined): Promise<ConfigEntry<Output>> {
    const what = `value for config ${JSON.stringify(this.name)}`;
    expectJson(what, value);
    /* A copy without what JSON leaves out, so that what is checked is what will be read. */
    const json = copyOf(value);
    const output = validate(what, this.#options.schema, copyOf(json));
    return this.#write('set', caller, async (signal) => {
      const { version, revision } = await this.#context.writer.set(json, expected, signal);
      await this.#see(`version ${version} was written`, revision, signal);
      return new Entry(this.#replica, output, version, revision);
    });
  }

  /**
   * Sets what `change` makes of the current value, against that very version. If somebody was faster, `change` is called anew with what they wrote, up to
   * ten times in all; then VersionConflictError. All of it within one deadline. Rejects with what `change` throws, and else as {@link set} does.
   */
  async update(
    change: (current: DeepReadonly<Output> | undefined) => Input,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ConfigEntry<Output>> {
    expectFunction('the change of update', change);
    expectOptions('update', options, ['signal']);
    /* One deadline for all of it: what is called within gets its signal. */
    return this.#write('update', options.signal, async (signal) => {
      for (let attempt = 1; ; attempt += 1) {
        await this.#replica.confirm(signal);
        const current = this.get();
        try {
          /* By its revision, too: a store that was restored counts some versions again. */
          const expected = { version: current?.version ?? 0, revision: current?.revision ?? 0n };
          return await this.#set(change(current?.value), expected, signal);
        } catch (error) {
          if (!(error instanceof VersionConflictError) || attempt === UPDATE_ATTEMPTS) throw error;
        }
        const { clock, random } = this.#context.runtime;
        const pauseMs = fullJitterMs(attempt - 1, UPDATE_PAUSE, () => random.uniform());
        await sleep(clock, pauseMs, signal);
      }
    });
  }

  /** Deletes the entry; its history stays. Errors as {@link set}. */
  async delete(options: ConfigWriteOptions = {}): Promise<void> {
    const ifVersion = this.#checkWrite('delete', options);
    await this.#write('delete', options.signal, async (signal) => {
      const revision = await this.#context.writer.delete(ifVersion, signal);
      if (revision !== undefined) await this.#see('it was deleted', revision, signal);
    });
  }

  /**
   * The newest `limit` versions (default 20), the newest first, as they were written; deletes are not among them. History keeps the newest 100.
   * Rejects with CoordinationUnavailableError, AccessDeniedError, ClosedError, `signal.reason`.
   */
  async history(
    options: { readonly limit?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly ConfigVersion[]> {
    expectOptions('history', options, ['limit', 'signal']);
    const { limit = HISTORY_DEFAULT } = options;
    expectWholeNumber('limit', limit, 1, HISTORY_LIMIT);
    return this.#read('read the history of', options.signal, (signal) => this.#context.writer.history(limit, signal));
  }

  /** Sets the value of an earlier version as a new one. VersionConflictError if history does not have it any more; errors else as {@link set}. */
  async rollback(
    version: number,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ConfigEntry<Output>> {
    expectOptions('rollback', options, ['signal']);
    expectWholeNumber('version', version, 1, Number.MAX_SAFE_INTEGER);
    const past = await this.#write('roll back', options.signal, (signal) => this.#context.writer.past(version, signal));
    return this.set(past.value as Input, options);
  }

  /**
   * Which instance has applied, or refused, which version; the instances that follow the entry now, within a second or so. Errors as
   * {@link history}.
   */
  async rollout(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly RolloutReport[]> {
    expectOptions('rollout', options, ['signal']);
    return this.#read('read the rollout of', options.signal, (signal) => this.#context.rollout.reports(signal));
  }

  /** Stops following. What is known stays readable, and grows older. Idempotent. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#calls.close();
      this.#unfollow();
      this.#known.close();
      this.#context.rollout.close();
      this.#context.onClose();
    }
    await this.#share.release();
  }

  /** Closes, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The store has something else now: a good version, a bad one, or none. */
  #apply(): void {
    const stored = this.#replica.entries.get(this.#context.keys.current);
    if (stored === undefined) {
      this.#known.set({ is: 'absent' });
      return;
    }
    /* Not by its revision alone: after a restore another version can have come to the same one. */
    if (this.#known.value.is === 'good' && this.#opened !== undefined && isSame(this.#opened, stored)) return;
    try {
      const entry = this.#open(stored);
      this.#opened = stored;
      this.#known.set({ is: 'good', entry });
      this.#context.rollout.applied(entry.version);
      tell('config', { config: this.name, version: entry.version });
    } catch (error) {
      const why = error instanceof Error ? error : new Error(String(error));
      const reason = why.message;
      if (this.#known.value.is !== 'good') this.#known.set({ is: 'refused', why });
      this.#context.runtime.logger.error(`An invalid version was refused, the last good one stays: ${reason}`, {
        event: 'config.refused',
        config: this.name,
        revision: stored.modRevision,
      });
      this.#context.rollout.refused(stored, reason);
      tell('config', { config: this.name, version: versionOf(stored), refused: reason });
    }
  }

  #open(stored: KeyValue): Entry<Output> {
    const { version, value } = unseal(stored);
    const what = `config ${stored.key}, version ${version}, at revision ${stored.modRevision}`;
    return new Entry(this.#replica, validate(what, this.#options.schema, value), version, stored.modRevision);
  }

  async #see(what: string, revision: bigint, signal: AbortSignal): Promise<void> {
    await this.#replica.reached(revision, signal).catch((error: unknown) => {
      throw new CoordinationUnavailableError(
        `Config ${JSON.stringify(this.name)}: ${what} at revision ${revision}, but this process has not seen it yet.`,
        { cause: error },
      );
    });
  }

  #checkWrite(what: string, options: ConfigWriteOptions): number | undefined {
    expectOptions(what, options, ['ifVersion', 'signal']);
    const { ifVersion } = options;
    return ifVersion === undefined ? undefined : expectWholeNumber('ifVersion', ifVersion, 0, Number.MAX_SAFE_INTEGER);
  }

  readonly #why = (): Error | undefined => this.#replica.failure;

  #write<T>(what: string, signal: AbortSignal | undefined, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#calls.write(what, { signal, why: this.#why }, act);
  }

  #read<T>(what: string, signal: AbortSignal | undefined, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#calls.read(what, { signal, why: this.#why }, act);
  }
}
