import test from 'ava';
import * as fc from 'fast-check';
import type { Span } from '../store.ts';
import { compareKeys, covers, KeyIndex } from './key-order.ts';

/** Text with surrogates and with what lies above and below them, and with much in common. */
const key = fc
  .array(fc.constantFrom('', 'a', 'b', '/', '\u0000', 'é', '\uD7FF', '\uE000', '\uFFFF', '\u{10000}', '\u{1F600}'), {
    maxLength: 5,
  })
  .map((parts) => parts.join(''));

test('keys are in the order of their bytes', (t) => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      t.is(Math.sign(compareKeys(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

test('an index finds what a search through all keys finds, in order', (t) => {
  const span = fc.oneof(
    key.map((text): Span => ({ key: text })),
    key.map((text): Span => ({ prefix: text })),
  );
  const keys = fc.uniqueArray(key, { maxLength: 30 });
  fc.assert(
    fc.property(keys, keys, span, fc.option(key, { nil: undefined }), (added, removed, span, from) => {
      const index = new KeyIndex();
      for (const each of added) index.add(each);
      for (const each of removed) index.remove(each);
      const expected = added
        .filter((each) => !removed.includes(each) && covers(span, each))
        .filter((each) => from === undefined || compareKeys(each, from) >= 0)
        .toSorted(compareKeys);
      t.deepEqual(index.within(span, from), expected);
    }),
  );
});
