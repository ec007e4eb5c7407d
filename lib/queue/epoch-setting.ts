import { expectBoolean, expectOptions, expectWholeNumber } from '../arguments.ts';
import { VersionConflictError } from '../errors.ts';
import { Calls, type CallContext } from '../session/calls.ts';
import type { Keyspace } from '../session/keyspace.ts';
import type { Operations } from '../session/operations.ts';
import type { KeyValue } from '../store/store.ts';
import { readEpoch } from './epoch.ts';

export interface EpochContext extends CallContext {
  readonly operations: Operations;
  readonly keyspace: Keyspace;
}

/** How an operator sets the epoch. */
export interface SetEpochOptions {
  /** Also to a smaller one, and also over what is no epoch. @default false */
  readonly force?: boolean | undefined;
  /** Ends the waiting; OutcomeUnknownError if it was sent by then and not answered. */
  readonly signal?: AbortSignal | undefined;
}

/** The operator's epoch, the highest bits of every fencing token. It is raised after a restore that took revisions back. */
export class EpochSetting {
  readonly #context: EpochContext;
  readonly #calls: Calls;

  constructor(context: EpochContext) {
    this.#context = context;
    this.#calls = new Calls(context);
  }

  async get(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    expectOptions('epoch', options, ['signal']);
    return this.#calls.within('read the epoch', options.signal, async (signal) => {
      return readEpoch(this.#context.keyspace.epoch, await this.#look(signal));
    });
  }

  async set(epoch: number, options: SetEpochOptions = {}): Promise<void> {
    expectWholeNumber('epoch', epoch, 0, 255);
    expectOptions('setEpoch', options, ['force', 'signal']);
    const { force = false } = options;
    expectBoolean('force', force);
    await this.#calls.within('set the epoch', options.signal, async (signal) => {
      this.#calls.expectContact('set the epoch');
      const { keyspace, operations } = this.#context;
      const key = keyspace.epoch;
      const entry = await this.#look(signal);
      if (!force) {
        const current = readEpoch(key, entry);
        if (epoch < current) {
          throw new VersionConflictError(
            `Could not lower the epoch from ${current} to ${epoch}: tokens would be smaller than those that guards have seen, and be refused. ` +
              'Nothing was written. Force it only if no token of the greater epoch has reached a guard.',
          );
        }
      }
      const { succeeded } = await operations.commit(
        {
          compare: [{ key, target: 'mod', is: '=', than: entry?.modRevision ?? 0n }],
          then: [{ type: 'put', key, value: String(epoch) }],
        },
        signal,
      );
      if (!succeeded) {
        throw new VersionConflictError(
          `Could not set the epoch to ${epoch}: somebody else has set it at the same time. Nothing was written. Look, and set it again.`,
        );
      }
    });
  }

  async #look(signal: AbortSignal): Promise<KeyValue | undefined> {
    const [[entry] = []] = await this.#calls.read(signal, { key: this.#context.keyspace.epoch });
    return entry;
  }
}
