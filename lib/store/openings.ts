import { Bulkhead } from '../resilience/bulkhead.ts';
import { onAbort } from '../runtime/abort.ts';

/**
 * How many watches may be under way to being accepted. A server takes them one by one; ten thousand at once would wait for longer than a
 * store believes in a silent server, give up, and come again behind themselves.
 */
export class Openings {
  readonly #places: Bulkhead;

  constructor(limit: number) {
    this.#places = new Bulkhead(limit);
  }

  /** Resolves at its turn, to what gives the place back: harmless if called again. Rejects with `signal.reason`. */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (!this.#places.tryEnter()) {
      await new Promise<void>((resolve, reject) => {
        /* Nobody is admitted before both are there: a place is given back in a later turn. */
        const giveUp = this.#places.queue(() => {
          stop();
          resolve();
        });
        const stop = onAbort(signal, (reason) => {
          if (giveUp()) reject(reason);
        });
      });
    }
    let isInside = true;
    return () => {
      if (isInside) this.#places.leave();
      isInside = false;
    };
  }
}
