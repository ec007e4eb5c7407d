import type { RangeRequest, RangeResponse } from '../store/store.ts';
import { untilDeleted, type KeyLife } from '../store/until-deleted.ts';
import type { Sighting } from './lookout.ts';
import type { TicketContext } from './ticket-context.ts';

/** In a queue with more before us, only the last of them is watched: the others' coming and going is none of our business yet. */
const MOST_NAMED = 16;

/** Who is waited for, and how many of them may stay. */
export interface Rivals {
  /** The prefix of their keys. */
  readonly prefix: string;
  readonly beside: number;
}

/** What to ask for: the key that came last, up to a create revision, and those before it; all of them where some may stay. */
export function newest({ prefix, beside }: Rivals, maxCreateRevision?: bigint): RangeRequest {
  return {
    prefix,
    sort: { by: 'create', order: 'descend' },
    keysOnly: true,
    ...(beside > 0 ? {} : { limit: MOST_NAMED + 1 }),
    ...(maxCreateRevision === undefined ? {} : { maxCreateRevision }),
  };
}

/** Who is before a ticket, as far as it has been told. */
export class Predecessors {
  readonly #queue: string;
  readonly #beside: number;
  /** The last one first; all of them unless {@link #hasMore}. */
  #named: readonly KeyLife[] = [];
  #hasMore = false;
  /** The revision and the epoch of the answer that named them. */
  #revision = 0n;
  #epoch = 0;

  constructor(queue: string, beside: number) {
    this.#queue = queue;
    this.#beside = beside;
  }

  /** No more are before us than may stay. */
  get areFew(): boolean {
    return this.#named.length <= this.#beside;
  }

  /** Takes in what {@link newest} was answered. */
  see(
    { entries, more }: RangeResponse,
    own: string,
    answer: { readonly revision: bigint; readonly epoch: number },
  ): void {
    this.#named = entries.filter(({ key }) => key !== own);
    this.#hasMore = more;
    this.#revision = answer.revision;
    this.#epoch = answer.epoch;
  }

  /**
   * Resolves when something has come of the waiting; `gone`: the only one that is watched has gone. Rejects with `signal.reason`, and with
   * the StoreError of a refusal.
   */
  async untilFew(context: TicketContext, own: KeyLife, signal: AbortSignal): Promise<Sighting | 'gone'> {
    const { runtime, store, repetition, lookout } = context;
    const [last] = this.#named;
    if (last === undefined || !this.#hasMore) {
      const precedence = {
        before: this.#named,
        beside: this.#beside,
        revision: this.#revision,
        epoch: this.#epoch,
      };
      return lookout(this.#queue).untilFirst(own, precedence, signal);
    }
    await untilDeleted(runtime, store, last, this.#revision, { timeoutMs: repetition.attemptTimeoutMs, signal });
    return 'gone';
  }
}
