import type { Sequence } from './sequence.ts';

/**
 * A value that changes, and those who look on. A reader gets the current value first, then the newest one each time it asks: values
 * that came and went while it was busy are conflated, so a slow reader costs nothing and is never behind.
 */
export class Latest<T> {
  #value: T;
  #version = 0;
  #closed = false;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (this.#closed) return;
    this.#value = value;
    this.#version += 1;
    this.#notify();
  }

  /** The last value stands; readers see it and then end. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  /** Calls `listener` after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Subscribes now, not at the first `next()`. Ends with `done` on {@link close} and throws `signal.reason` on abort; `break`
   * unsubscribes. Single-use.
   */
  watch(signal?: AbortSignal): Sequence<T> {
    let seen = -1;
    let wake: (() => void) | undefined;
    let done = false;
    const notify = (): void => {
      wake?.();
      wake = undefined;
    };
    const unsubscribe = this.subscribe(notify);
    signal?.addEventListener('abort', notify, { once: true });
    const end = (): IteratorResult<T, undefined> => {
      done = true;
      unsubscribe();
      signal?.removeEventListener('abort', notify);
      notify();
      return { done: true, value: undefined };
    };
    const next = async (): Promise<IteratorResult<T, undefined>> => {
      for (;;) {
        if (done) return { done: true, value: undefined };
        if (signal?.aborted === true) {
          end();
          throw signal.reason;
        }
        if (seen !== this.#version) {
          seen = this.#version;
          return { done: false, value: this.#value };
        }
        if (this.#closed) return end();
        const earlier = wake;
        await new Promise<void>((resolve) => {
          wake = () => {
            earlier?.();
            resolve();
          };
        });
      }
    };
    return {
      next,
      return: async () => end(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
