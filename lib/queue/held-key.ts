import { sleep } from '../runtime/clock.ts';
import { untilDeleted, type KeyLife } from '../store/until-deleted.ts';
import type { TicketContext } from './ticket-context.ts';

/**
 * Watches a key that a holder rests on, and tells when somebody else has deleted it. Not before `afterMs`: most tenures are over by
 * then, and cost no watch at all. Where it cannot be watched, the session's audit finds it. Never rejects.
 */
export async function watchHeldKey(
  { runtime, store, repetition }: TicketContext,
  life: KeyLife,
  { afterMs, signal }: { readonly afterMs: number; readonly signal: AbortSignal },
  onDeleted: () => void,
): Promise<void> {
  try {
    if (afterMs > 0) await sleep(runtime.clock, afterMs, signal);
    const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
    await untilDeleted(runtime, store, life, life.createRevision, options);
    onDeleted();
  } catch (error) {
    if (signal.aborted) return;
    const { key } = life;
    runtime.logger.warn('A held key cannot be watched', { event: 'queue.unwatched', key, error: String(error) });
  }
}
