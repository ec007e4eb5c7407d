import { onAbort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';

/** Wakes a loop that waits for whatever comes first. A ring that nobody waits for is kept for the next wait. */
export class Wake {
  #rung = false;
  #answer: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#answer?.();
  }

  /** Resolves at a ring, after `waitMs`, or when the signal aborts. */
  async wait(clock: Clock, waitMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = clock.schedule(waitMs, () => this.#answer?.());
        const stop = onAbort(signal, () => this.#answer?.());
        this.#answer = () => {
          this.#answer = undefined;
          cancel();
          stop();
          resolve();
        };
      });
    }
    this.#rung = false;
  }
}
