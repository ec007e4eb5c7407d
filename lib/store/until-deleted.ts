import { sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { follow, revisionOf } from './follow.ts';
import { StoreError } from './store-error.ts';
import type { Store } from './store.ts';

/** A key in one of its lives: from its creation to its deletion. */
export interface KeyLife {
  readonly key: string;
  readonly createRevision: bigint;
}

/** How long to wait before a range is asked again that could not be answered, in milliseconds. */
const ASK_AGAIN_MS = 1_000;

/**
 * Resolves once a key's life has ended, having been seen alive at `seenAt`. It watches and does not poll. A deletion counts only above
 * the create revision: etcd's Go clients use their keys again. Where the history between is compacted, it looks, and goes on from
 * there. Rejects with `signal.reason`, and with the StoreError of a refusal.
 */
export async function untilDeleted(
  runtime: Runtime,
  store: Store,
  life: KeyLife,
  seenAt: bigint,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const { key, createRevision } = life;
  for (let from = seenAt + 1n; ;) {
    try {
      const request = { span: { key }, fromRevision: from };
      for await (const { events } of follow(runtime, store, request, options.signal, {
        beforeResume: () => expectAlive(from),
      })) {
        if (events.some((event) => event.type === 'delete' && revisionOf(event) > createRevision)) return;
      }
    } catch (error) {
      if (error instanceof LifeIsOver) return;
      if (!(error instanceof StoreError) || error.reason !== 'compacted') throw error;
    }
    try {
      const { revision, entries } = await store.range({ key }, options);
      /* A member that lags behind what has been seen already has nothing to say. */
      if (revision >= seenAt && entries[0]?.createRevision !== createRevision) return;
      if (revision >= from) from = revision + 1n;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof StoreError) || error.outcome === 'permanent') throw error;
      await sleep(runtime.clock, ASK_AGAIN_MS, options.signal);
    }
  }

  /**
   * Asked before a broken watch is resumed. Behind the break the store may have been restored, and its revisions may count past the point
   * from which to resume before anybody looks: the deletion can then lie before that point, where no watch shows it.
   */
  async function expectAlive(from: bigint): Promise<void> {
    const { revision, entries } = await store.range({ key }, options);
    if (revision + 1n < from) {
      throw new StoreError('unreachable', 'transient', `the answer is of revision ${revision}, before ${from}`);
    }
    if (entries[0]?.createRevision !== createRevision) throw new LifeIsOver();
  }
}

/** Ends the following from within. */
class LifeIsOver extends Error {}
