import type { WatchEvent } from '../../store/store.ts';
import { LARGEST_MESSAGE_BYTES } from './grpc-server.ts';
import type { EventMessage, KeyValueMessage, WatchResponse } from './messages.ts';

/* How the events of a watch are cut into messages. */

/** A watch that begins in the past gets at most so many revisions in a message: `watchBatchMaxRevs` of etcd's mvcc. */
const MOST_REVISIONS = 1_000;

/** About what an event takes beside its keys and values. */
const EVENT_OVERHEAD_BYTES = 48;

/** Whole revisions, at most a thousand in each part. */
export function partsOf(events: readonly WatchEvent[]): readonly (readonly WatchEvent[])[] {
  const parts: WatchEvent[][] = [];
  let part: WatchEvent[] = [];
  let revisions = 0;
  let last: bigint | undefined;
  for (const event of events) {
    const revision = revisionOf(event);
    if (revision !== last) revisions += 1;
    if (part.length === 0 || (revision !== last && revisions > MOST_REVISIONS)) {
      part = [];
      revisions = 1;
      parts.push(part);
    }
    part.push(event);
    last = revision;
  }
  return parts;
}

/** For a client that has asked for fragments: no message larger than one that it may send, but for single events that are. */
export function fragmentsOf(
  response: WatchResponse,
  mostBytes: number = LARGEST_MESSAGE_BYTES,
): readonly WatchResponse[] {
  const fragments: EventMessage[][] = [[]];
  let bytes = 0;
  for (const event of response.events ?? []) {
    const size = sizeOf(event.kv) + (event.prev_kv === undefined ? 0 : sizeOf(event.prev_kv)) + EVENT_OVERHEAD_BYTES;
    if (bytes > 0 && bytes + size >= mostBytes) {
      fragments.push([]);
      bytes = 0;
    }
    fragments.at(-1)?.push(event);
    bytes += size;
  }
  return fragments.map((events, index) => ({ ...response, events, fragment: index < fragments.length - 1 }));
}

export function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}

function sizeOf({ key, value }: KeyValueMessage): number {
  return key.length + (value?.length ?? 0);
}
