import test from 'ava';
import * as fc from 'fast-check';
import { StoreError } from '../store/store-error.ts';
import { readEpoch } from './epoch.ts';

const read = (value: string): number =>
  readEpoch('test/epoch', { key: 'test/epoch', value, createRevision: 5n, modRevision: 6n, version: 1n, lease: 0n });

test('an epoch is a number from 0 to 255, and 0 where there is none', (t) => {
  t.is(readEpoch('test/epoch', undefined), 0);
  for (let epoch = 0; epoch <= 255; epoch += 1) t.is(read(String(epoch)), epoch);
});

test('whatever else stands there is refused for good, by its key', (t) => {
  const almost = fc.string({
    unit: fc.constantFrom('0', '1', '2', '5', '9', '-', '+', '.', 'e', ' ', '\n', '٣'),
    maxLength: 5,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json(), almost), (text) => {
      fc.pre(!/^[0-9]{1,3}$/.test(text) || Number(text) > 255);
      const error = t.throws(() => read(text), { instanceOf: StoreError, message: /^the epoch under test\/epoch/ });
      t.like(error, { reason: 'invalid', outcome: 'permanent' });
    }),
    { numRuns: 1_000 },
  );
});
