import type { IEvent, IWatchResponse } from 'etcd3';
import type { WatchBatch, WatchEvent } from '../store.ts';
import { fromEvent } from './wire.ts';

/** A batch, and about how much memory it takes. */
export interface SizedBatch {
  readonly batch: WatchBatch;
  readonly bytes: number;
}

/** What an event weighs beside its key and value. */
const OVERHEAD_BYTES = 200;

/** Most watches never have any: one list for all of them. */
const NONE: readonly IEvent[] = [];

/**
 * Makes batches of whole revisions out of the answers of one watch.
 *
 * etcd cuts an answer that is larger than its request limit (1.5 MiB by default) into fragments, and it cuts anywhere, within a
 * revision too. A revision is complete when a later one begins, or with the last fragment. Complete ones are passed on at once: an
 * answer can hold a thousand revisions, which need not be in memory together.
 */
export class RevisionBatches {
  /** Events of one revision that may go on in the next fragment. */
  #pending: readonly IEvent[] = NONE;

  /** What is complete with this answer, if anything. */
  add(response: IWatchResponse): SizedBatch | undefined {
    const events = [...this.#pending, ...response.events];
    this.#pending = response.fragment ? eventsOfLastRevision(events) : NONE;
    const complete = events.slice(0, events.length - this.#pending.length);
    const last = complete.at(-1);
    if (last === undefined) return undefined;
    return {
      batch: { revision: BigInt(last.kv.mod_revision), events: complete.map(fromEvent) satisfies WatchEvent[] },
      bytes: complete.reduce((sum, { kv }) => sum + kv.key.length + kv.value.length + OVERHEAD_BYTES, 0),
    };
  }
}

function eventsOfLastRevision(events: readonly IEvent[]): IEvent[] {
  const revision = events.at(-1)?.kv.mod_revision;
  const first = events.findIndex((event) => event.kv.mod_revision === revision);
  return events.slice(first === -1 ? events.length : first);
}
