import { setMaxListeners } from 'node:events';

const nothing = (): void => {};

/**
 * Calls `listener` once when the signal aborts; at once, before returning, if it has. Returns what takes the listener off again.
 * One signal may have any number of listeners: a process with one shutdown signal for ten thousand calls is right, and Node's
 * warning about a leak is not.
 */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return nothing;
  const notify = (): void => listener(signal.reason);
  if (signal.aborted) {
    notify();
    return nothing;
  }
  setMaxListeners(0, signal);
  signal.addEventListener('abort', notify, { once: true });
  return () => signal.removeEventListener('abort', notify);
}

/**
 * A signal that aborts when any of `sources` does, with that one's reason. Unlike `AbortSignal.any` it can be let go of: `unlink`
 * removes the listeners, so a short call on a long-lived signal leaves nothing behind.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal;
  readonly unlink: () => void;
} {
  const controller = new AbortController();
  const listening: (() => void)[] = [];
  const unlink = (): void => {
    for (const stop of listening) stop();
  };
  for (const source of sources) {
    if (controller.signal.aborted) break;
    const stop = onAbort(source, (reason) => {
      unlink();
      controller.abort(reason);
    });
    listening.push(stop);
  }
  return { signal: controller.signal, unlink };
}

/** `promise`, or a rejection with `signal.reason` as soon as the signal aborts. The promise goes on; its rejection is taken care of. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, reject);
    promise.then(resolve, reject).finally(stop);
  });
}
