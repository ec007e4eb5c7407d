/**
 * Values that come over time, for one reader: `for await (const value of sequence)`. It is subscribed from the call that made it,
 * single-use, ends with `done` when what it follows is closed, throws `signal.reason` on abort, and `break` unsubscribes.
 */
export interface Sequence<T> extends AsyncIterableIterator<T> {
  next(): Promise<IteratorResult<T, undefined>>;
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): Sequence<T>;
}
