import { fullJitterMs } from '../resilience/backoff.ts';
import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Openings } from './openings.ts';
import { StoreError } from './store-error.ts';
import type { Store, WatchBatch, WatchEvent, WatchRequest } from './store.ts';

/** Between two lives of a watch: quick at first, since a reconnection is usually enough. */
const RESUME = { baseMs: 50, capMs: 2_000 };

/** What the two functions throw counts as a failure of that life, or ends the following if it is no StoreError to repeat. */
export interface FollowOptions {
  /** Asked before a life that follows a broken one. It may resolve to a revision: up to there nothing was missed. */
  readonly beforeResume?: () => Promise<bigint | void>;
  /**
   * Asked when a life is open, before anything that it delivers is passed on. Only what is known then is of the same history as what
   * it delivers: between an earlier answer and the opening the store can have been restored.
   */
  readonly onceOpen?: () => Promise<void>;
  /**
   * Whether it goes on in another life; else it ends with the StoreError by which the first one broke.
   * @default true
   */
  readonly resumes?: boolean;
  /** Each life waits for its turn to be opened. */
  readonly openings?: Openings | undefined;
}

/**
 * Follows a span across any number of broken streams: every event once, in order, whole revisions.
 *
 * 1. A life of the watch that begins ahead of the store begins at the first revision that has not been delivered. One that begins in
 *    the past begins a revision earlier: etcd 3.4 says nothing about a delete at exactly the compacted revision, and from one
 *    revision earlier a compaction that has swallowed something shows. Whether it is in the past, its first answer tells.
 * 2. The resume point moves with *delivered events*, and with what `beforeResume` vouches for, alone. The revision of a created answer
 *    or of a progress notification is no proof of delivery: before 3.4.25 and 3.5.8 etcd can send it ahead of the events it claims to
 *    follow.
 * 3. Events below the resume point are dropped: those of 1, and those that etcd before 3.4.24 repeats after a reconnection.
 *
 * Throws the StoreError with `reason: 'compacted'` if the history between is gone, and those of permanent failures; the caller then
 * has to look anew. Throws `signal.reason` on abort. Empty batches are passed on as signs of life.
 */
export async function* follow(
  runtime: Runtime,
  store: Store,
  request: WatchRequest,
  signal: AbortSignal,
  { beforeResume, onceOpen, resumes = true, openings }: FollowOptions = {},
): AsyncGenerator<WatchBatch, never, void> {
  let next = request.fromRevision;
  let isPast = false;
  let leave: (() => void) | undefined;
  for (let failures = 0; ; failures += 1) {
    try {
      if (failures > 0) {
        const known = await beforeResume?.();
        if (typeof known === 'bigint' && known >= next) next = known + 1n;
      }
      do {
        const begin: bigint = isPast && next > 1n ? next - 1n : next;
        let isCreated: boolean = begin !== next;
        let isBelieved = false;
        isPast = false;
        leave = await openings?.enter(signal);
        for await (const { revision, events } of store.watch({ span: request.span, fromRevision: begin }, signal)) {
          leave?.();
          leave = undefined;
          /* 1. The first answer: if it is in the past, begin again from where a compaction would show. */
          isPast = !isCreated && next > 1n && revision >= next;
          isCreated = true;
          if (isPast) break;
          if (!isBelieved) await onceOpen?.();
          isBelieved = true;
          failures = 0;
          const fresh = events.filter((event) => revisionOf(event) >= next);
          const last = fresh.at(-1);
          if (last !== undefined) next = revisionOf(last) + 1n;
          yield { revision, events: fresh };
        }
      } while (isPast);
    } catch (error) {
      signal.throwIfAborted();
      if (!resumes || !(error instanceof StoreError) || error.outcome === 'permanent') throw error;
      runtime.logger.debug('A watch broke and resumes', { event: 'watch.resume', from: next, cause: error.message });
    } finally {
      leave?.();
    }
    isPast = true;
    await sleep(
      runtime.clock,
      fullJitterMs(failures, RESUME, () => runtime.random.uniform()),
      signal,
    );
  }
}

/** The revision at which an event happened. */
export function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}
