import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../store-error.ts';
import type { CallOptions } from '../store.ts';
import { Bounds } from './bounds.ts';
import type { CallKind } from './grpc-errors.ts';

/** Everything that is under way, so that closing can end it. */
export class OpenCalls {
  readonly #clock: Clock;
  readonly #open = new Set<Bounds>();
  readonly #onCall: () => void;
  #closed = false;

  /** `onCall` is called before each call that is made. */
  constructor(clock: Clock, onCall: () => void = () => undefined) {
    this.#clock = clock;
    this.#onCall = onCall;
  }

  /**
   * Does `work`, and settles by its timeout, its signal or the closing at the latest, whether or not `work` does. Rejects with a
   * StoreError and nothing else.
   */
  run<T>(kind: CallKind, what: string, options: CallOptions, work: (bounds: Bounds) => Promise<T>): Promise<T> {
    const { timeoutMs, signal } = options;
    this.#onCall();
    return new Promise((resolve, reject) => {
      const bounds = new Bounds(this.#clock, kind, what, timeoutMs);
      const onAbort = (): void => bounds.end('cancelled', `${what} was cancelled by its caller`, signal?.reason);
      const over = (): void => {
        bounds.release();
        this.#open.delete(bounds);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#open.add(bounds);
      bounds.onEnd((error) => {
        over();
        reject(error);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      if (this.#closed) bounds.end('closed', `${what} was called on a closed store`);
      if (signal?.aborted === true) onAbort();
      if (bounds.ended !== undefined) return;
      work(bounds).then(
        (value) => {
          over();
          resolve(value);
        },
        (error: unknown) => {
          over();
          reject(asStoreError(kind, error));
        },
      );
    });
  }

  close(): void {
    this.#closed = true;
    for (const bounds of this.#open) bounds.end('closed', 'The store was closed while a call was under way');
  }
}

/** What is not a StoreError is a mistake of ours or of gRPC's, and nobody knows how far the call had come. */
function asStoreError(kind: CallKind, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreError('internal', kind === 'read' ? 'transient' : 'unknown', message, { cause: error });
}
