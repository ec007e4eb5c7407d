import { expectOptions, expectRevision, expectText, expectValue, show } from '../arguments.ts';
import { CoordinationUnavailableError, VersionConflictError } from '../errors.ts';
import type { ReaderCalls } from '../replica/reader-calls.ts';
import { encodePath } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import type { Operation } from '../store/store.ts';
import type { WriteOptions } from './cache.ts';

/** What a cache writes: each put and delete once, and told of when its cache shows it. */
export class CacheWriter {
  readonly #operations: Operations;
  readonly #calls: ReaderCalls;
  readonly #root: string;
  readonly #shown: (full: string, revision: bigint, signal: AbortSignal) => Promise<void>;

  /** `shown` resolves once the cache does not show anything older than that revision of that key. */
  constructor(
    operations: Operations,
    calls: ReaderCalls,
    root: string,
    shown: (full: string, revision: bigint, signal: AbortSignal) => Promise<void>,
  ) {
    this.#operations = operations;
    this.#calls = calls;
    this.#root = root;
    this.#shown = shown;
  }

  async put(key: string, value: string, options: WriteOptions): Promise<void> {
    expectText('key', key);
    expectValue(`the value of ${show(key)}`, value);
    await this.#write('put', key, options, (full) => ({ type: 'put', key: full, value }));
  }

  async delete(key: string, options: WriteOptions): Promise<void> {
    expectText('key', key);
    await this.#write('delete', key, options, (full) => ({ type: 'delete', key: full }));
  }

  async #write(
    what: string,
    key: string,
    options: WriteOptions,
    operation: (full: string) => Operation,
  ): Promise<void> {
    expectOptions(what, options, ['ifRevision', 'signal']);
    const { ifRevision, signal } = options;
    if (ifRevision !== undefined) expectRevision('ifRevision', ifRevision);
    const full = `${this.#root}${encodePath('key', key)}`;
    const compare = ifRevision === undefined ? [] : [{ key: full, target: 'mod', is: '=', than: ifRevision } as const];
    const transaction = { compare, then: [operation(full)], otherwise: [{ type: 'range', key: full } as const] };
    await this.#calls.write(`${what} ${show(key)}`, { signal }, async (signal) => {
      const { succeeded, revision, responses } = await this.#operations.commit(transaction, signal);
      const [found] = responses;
      /* What was not there was not deleted: no event will tell of it. */
      if (found?.type === 'delete' && found.deleted === 0) return;
      if (!succeeded) {
        const current = found?.type === 'range' ? (found.entries[0]?.modRevision ?? 0n) : 0n;
        throw new VersionConflictError(
          `Could not ${what} ${show(key)}: its revision is ${current}, and ${ifRevision} was expected. Nothing was written.`,
        );
      }
      await this.#shown(full, revision, signal).catch((error: unknown) => {
        throw new CoordinationUnavailableError(
          `${show(key)} was written at revision ${revision}, but this cache has not seen it yet: its watch is behind.`,
          { cause: error },
        );
      });
    });
  }
}
