import { LimitExceededError } from '../errors.ts';
import { onAbort } from '../runtime/abort.ts';
import type { Sequence } from './sequence.ts';

/**
 * Every change, in order, for one reader. What the reader has not taken yet waits, up to a limit: a sequence that promises every change
 * cannot conflate, and must not grow for ever, so one that falls too far behind ends with LimitExceededError.
 */
export class Changes<T> implements Sequence<T> {
  readonly #limit: number;
  readonly #stopListening: () => void;
  readonly #onEnd: () => void;
  #waiting: T[] = [];
  #end: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};

  /** `onEnd` is called once, when nothing more will be taken. */
  constructor(limit: number, onEnd: () => void, signal?: AbortSignal) {
    this.#limit = limit;
    this.#onEnd = onEnd;
    this.#stopListening = onAbort(signal, (error) => this.#finish({ error }, true));
  }

  push(changes: readonly T[]): void {
    if (this.#end !== undefined) return;
    this.#waiting.push(...changes);
    if (this.#waiting.length > this.#limit) {
      const error = new LimitExceededError(
        `The reader of a sequence fell behind: ${this.#waiting.length} changes wait for it, and ${this.#limit} is the limit. ` +
          'Read what is there now and follow anew.',
      );
      this.#finish({ error }, true);
    }
    this.#wake();
  }

  /** What waits is still taken; then the sequence is done. */
  close(): void {
    this.#finish({}, false);
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        this.#waiting.shift();
        return { done: false, value: first };
      }
      if (this.#end !== undefined) {
        const { error } = this.#end;
        this.#end = {};
        /* A signal's reason can be anything; a rejection passes it on as it is. */
        if (error !== undefined) return Promise.reject(error);
        return { done: true, value: undefined };
      }
      const earlier = this.#wake;
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          earlier();
          resolve();
        };
      });
    }
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#finish({}, true);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(end: { readonly error?: unknown }, drop: boolean): void {
    if (drop) this.#waiting = [];
    if (this.#end === undefined) {
      this.#end = end;
      this.#stopListening?.();
      this.#onEnd();
    }
    this.#wake();
  }
}
