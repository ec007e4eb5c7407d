import type { Sequence } from './sequence.ts';

/** A sequence of what `map` makes of another one's values; it leaves out those of which it makes nothing. Subscribed as the other one is. */
export function mapped<From, To>(
  source: Sequence<From>,
  map: (value: From) => { readonly value: To } | undefined,
): Sequence<To> {
  return {
    async next() {
      for (;;) {
        const { done, value } = await source.next();
        if (done === true) return { done: true, value: undefined };
        const made = map(value);
        if (made !== undefined) return { done: false, value: made.value };
      }
    },
    async return() {
      await source.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
