/** What happens in the workers, for whoever wants to know: the timeline, the dispatcher, the nemesis. */
import type { FromWorker } from './messages.ts';

export type Report = { readonly worker: string } & (
  | FromWorker
  /** Its process has ended. */
  | { readonly type: 'exited'; readonly expected: boolean; readonly how: string }
);

export class Reports {
  readonly #listeners = new Set<(report: Report) => void>();

  publish(report: Report): void {
    for (const listener of [...this.#listeners]) listener(report);
  }

  /** Calls `listener` for every report from now on, until the returned function is called. */
  listen(listener: (report: Report) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The first thing that `match` makes of a report from now on. Rejects with `signal.reason`; it need not be waited for. */
  next<T>(match: (report: Report) => T | undefined, signal: AbortSignal): Promise<T> {
    const next = new Promise<T>((resolve, reject) => {
      const settle = (act: () => void): void => {
        unlisten();
        signal.removeEventListener('abort', onAbort);
        act();
      };
      const onAbort = (): void => settle(() => reject(signal.reason as Error));
      const unlisten = this.listen((report) => {
        const found = match(report);
        if (found !== undefined) settle(() => resolve(found));
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
    next.catch(() => undefined);
    return next;
  }
}
