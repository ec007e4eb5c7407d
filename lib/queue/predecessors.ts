import type { RangeRequest, RangeResponse } from '../store/store.ts';
import { untilDeleted, type KeyLife } from '../store/until-deleted.ts';
import type { Sighting } from './lookout.ts';
import type { TicketContext } from './ticket-context.ts';

/** In a queue with more before us, only the last of them is watched: the others' coming and going is none of our business yet. */
const MOST_NAMED = 16;

/** What to ask for: the key that came last, up to a create revision, and those before it. */
export function newest(queue: string, maxCreateRevision?: bigint): RangeRequest {
  return {
    prefix: queue,
    sort: { by: 'create', order: 'descend' },
    limit: MOST_NAMED + 1,
    keysOnly: true,
    ...(maxCreateRevision === undefined ? {} : { maxCreateRevision }),
  };
}

/** Who is before a ticket, as far as it has been told. */
export class Predecessors {
  readonly #queue: string;
  /** The last one first; all of them unless {@link #hasMore}. */
  #named: readonly KeyLife[] = [];
  #hasMore = false;
  /** The revision and the epoch of the answer that named them. */
  #revision = 0n;
  #epoch = 0;

  constructor(queue: string) {
    this.#queue = queue;
  }

  get isNone(): boolean {
    return this.#named.length === 0;
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

  /** Resolves when something has come of the waiting. Rejects with `signal.reason`, and with the StoreError of a refusal. */
  async untilGone(context: TicketContext, own: KeyLife, signal: AbortSignal): Promise<Sighting> {
    const { runtime, store, repetition, lookout } = context;
    const [last] = this.#named;
    if (last === undefined || !this.#hasMore) {
      const standing = { before: this.#named, revision: this.#revision, epoch: this.#epoch };
      return lookout(this.#queue).untilFirst(own, standing, signal);
    }
    await untilDeleted(runtime, store, last, this.#revision, { timeoutMs: repetition.attemptTimeoutMs, signal });
    return 'unknown';
  }
}
