/**
 * A signal that aborts when any of `sources` does, with that one's reason. Unlike `AbortSignal.any` it can be let go of: `unlink`
 * removes the listeners, so a short call on a long-lived signal leaves nothing behind.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal;
  readonly unlink: () => void;
} {
  const controller = new AbortController();
  const unlink = (): void => {
    for (const source of sources) source?.removeEventListener('abort', onAbort);
  };
  const onAbort = (event: Event): void => {
    unlink();
    controller.abort((event.target as AbortSignal).reason);
  };
  for (const source of sources) {
    if (source?.aborted === true) {
      unlink();
      controller.abort(source.reason);
      break;
    }
    source?.addEventListener('abort', onAbort, { once: true });
  }
  return { signal: controller.signal, unlink };
}

/** `promise`, or a rejection with `signal.reason` as soon as the signal aborts. The promise goes on; its rejection is taken care of. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
