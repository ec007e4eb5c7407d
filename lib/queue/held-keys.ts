import { sleep } from '../runtime/clock.ts';
import { untilDeleted, type KeyLife } from '../store/until-deleted.ts';
import type { TicketContext } from './ticket-context.ts';

/**
 * Watches the keys that a holder rests on, and tells when somebody else has deleted one. Not before `afterMs`: most tenures are over by
 * then, and cost no watch at all. Where they cannot be watched, the session's audit finds it.
 */
export async function watchHeldKeys(
  { runtime, store, repetition }: TicketContext,
  lives: readonly KeyLife[],
  { afterMs, signal }: { readonly afterMs: number; readonly signal: AbortSignal },
  onDeleted: () => void,
): Promise<void> {
  if (afterMs > 0) await sleep(runtime.clock, afterMs, signal).catch(() => {});
  if (signal.aborted) return;
  const options = { timeoutMs: repetition.attemptTimeoutMs, signal };
  const watch = async (life: KeyLife): Promise<void> => {
    try {
      await untilDeleted(runtime, store, life, life.createRevision, options);
      onDeleted();
    } catch (error) {
      if (signal.aborted) return;
      const { key } = life;
      runtime.logger.warn('A held key cannot be watched', { event: 'queue.unwatched', key, error: String(error) });
    }
  };
  await Promise.all(lives.map(watch));
}
