import { onAbort } from '../runtime/abort.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { tellOfStuckWork } from './narration.ts';
import type { Tenure } from './tenure.ts';

/** How long work may take to end after a loss before it is called stuck, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Warns of work that does not end although what it ran under was lost, until the returned function is called. Nothing can be done about it. A
 * coordinator that closes waits for such work and tells of it itself: after that no timer keeps the process here.
 */
export function warnOfOverrun(
  { clock, logger }: Runtime,
  shown: string,
  tenure: Tenure,
  closing: AbortSignal,
): () => void {
  let isOver = false;
  let cancel = (): void => {};
  void tenure.ended.then(() => {
    const loss = tenure.loss();
    if (isOver || loss === undefined || closing.aborted) return;
    const cancelWarning = clock.schedule(PATIENCE_MS, () => {
      logger.error(
        `The work under the ${shown} was told to stop and still runs ${PATIENCE_MS} ms later. A successor may be at work, so only its guarded ` +
          'writes are safe. Let it listen to held.signal.',
        { event: 'tenure.stuck', token: tenure.token, reason: loss.message },
      );
      tellOfStuckWork(tenure, PATIENCE_MS);
    });
    const stopListening = onAbort(closing, cancelWarning);
    cancel = () => {
      stopListening();
      cancelWarning();
    };
  });
  return () => {
    isOver = true;
    cancel();
  };
}
