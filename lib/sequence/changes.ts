import { LimitExceededError } from '../errors.ts';
import { onAbort } from '../runtime/abort.ts';
import type { Sequence } from './sequence.ts';

/** A read that waits for the next change. */
interface Read<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Every change, in order, for one reader. What the reader has not taken yet waits, up to a limit: a sequence that promises every change
 * cannot conflate, and must not grow for ever, so one that falls too far behind ends with LimitExceededError. One of states keeps
 * the newest instead: whoever is that slow wants to know how things are.
 */
export class Changes<T> implements Sequence<T> {
  readonly #limit: number;
  readonly #stopListening: () => void;
  readonly #onEnd: (sequence: Changes<T>) => void;
  readonly #whenFull: 'end' | 'keep-newest';
  #waiting: T[] = [];
  /** There are some only while no change waits. */
  #reads: readonly Read<T>[] = [];
  #end: { readonly error?: unknown } | undefined;

  /** `onEnd` is called once, when nothing more will be taken: from in here, if the signal has aborted before. */
  constructor(
    limit: number,
    onEnd: (sequence: Changes<T>) => void,
    signal?: AbortSignal,
    whenFull: 'end' | 'keep-newest' = 'end',
  ) {
    this.#whenFull = whenFull;
    this.#limit = limit;
    this.#onEnd = onEnd;
    this.#stopListening = onAbort(signal, (error) => this.#finish({ error }, true));
  }

  push(changes: readonly T[]): void {
    if (this.#end !== undefined) return;
    for (const change of changes) {
      const [read, ...others] = this.#reads;
      if (read === undefined) {
        this.#waiting.push(change);
      } else {
        this.#reads = others;
        read.resolve({ done: false, value: change });
      }
    }
    if (this.#waiting.length <= this.#limit) return;
    if (this.#whenFull === 'keep-newest') {
      this.#waiting = this.#waiting.slice(-1);
    } else {
      const error = new LimitExceededError(
        `The reader of a sequence fell behind: ${this.#waiting.length} changes wait for it, and ${this.#limit} is the limit. ` +
          'Read what is there now and follow anew.',
      );
      this.#finish({ error }, true);
    }
  }

  /** What waits is still taken; then the sequence is done. */
  close(): void {
    this.#finish({}, false);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#waiting.length > 0) return Promise.resolve({ done: false, value: this.#waiting.shift() as T });
    if (this.#end !== undefined) {
      const { error } = this.#end;
      this.#end = {};
      /* A signal's reason can be anything; a rejection passes it on as it is. */
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#reads = [...this.#reads, { resolve, reject }];
    });
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
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#stopListening?.();
    this.#onEnd(this);
    const reads = this.#reads;
    this.#reads = [];
    for (const { resolve, reject } of reads) this.next().then(resolve, reject);
  }
}
