import { inspect } from 'node:util';
import test from 'ava';
import * as fc from 'fast-check';
import { LimitExceededError, StaleTokenError } from '../errors.ts';
import { memoryGuard } from './memory.ts';
import { MAX_RESOURCE_BYTES } from './resource.ts';

test('equal and greater tokens pass, smaller ones are refused with the greatest seen', (t) => {
  const guard = memoryGuard();
  guard.check('invoice:42', 5n);
  guard.check('invoice:42', 5n);
  guard.check('invoice:42', 7n);
  const error = t.throws(() => guard.check('invoice:42', 6n), { instanceOf: StaleTokenError });
  t.like(error, { resource: 'invoice:42', token: 6n, highest: 7n });
  guard.check('invoice:42', 7n);
});

test('resources do not see each other', (t) => {
  const guard = memoryGuard();
  guard.check('a', 9n);
  t.notThrows(() => guard.check('a/b', 1n));
});

test('a successor that has only read is not overtaken: its lost update is prevented', (t) => {
  const guard = memoryGuard();
  guard.check('counter', 1n); // A reads.
  guard.check('counter', 2n); // B reads.
  t.throws(() => guard.check('counter', 1n), { instanceOf: StaleTokenError }); // A would write.
  t.notThrows(() => guard.check('counter', 2n)); // B writes.
});

test('tokens beyond 2^53 that round to the same double are told apart', (t) => {
  const guard = memoryGuard();
  guard.check('a', 2n ** 60n + 1n);
  t.throws(() => guard.check('a', 2n ** 60n), { instanceOf: StaleTokenError });
});

test('whatever the order of tokens, the accepted ones never decrease', (t) => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n })), (tokens) => {
      const guard = memoryGuard();
      let highest = 0n;
      for (const token of tokens) {
        if (token >= highest) {
          guard.check('a', token);
          highest = token;
        } else {
          t.throws(() => guard.check('a', token), { instanceOf: StaleTokenError });
        }
      }
    }),
  );
  t.pass();
});

for (const token of [2 ** 53, 1, 1.5, -1n, 0n, 2n ** 63n, '', '1', undefined, null, {}, [1n]] as const) {
  test(`a token that is ${inspect(token)} is a TypeError, not a stale one`, (t) => {
    t.throws(() => memoryGuard().check('a', token as bigint), { instanceOf: TypeError });
  });
}

for (const [title, resource] of [
  ['empty', ''],
  ['undefined', undefined],
  ['a number', 42],
  ['with NUL', 'a\0b'],
  ['with a lone surrogate', 'a\ud800'],
  ['too long', 'é'.repeat(MAX_RESOURCE_BYTES / 2 + 1)],
] as const) {
  test(`a resource that is ${title} is a TypeError`, (t) => {
    t.throws(() => memoryGuard().check(resource as string, 1n), {
      instanceOf: TypeError,
      message: /^Expected resource/,
    });
  });
}

test('names of up to 1,024 bytes and of any script are resources', (t) => {
  const guard = memoryGuard();
  for (const resource of ['é'.repeat(MAX_RESOURCE_BYTES / 2), '🔒', '__proto__', ' ', 'a/b%c']) {
    t.notThrows(() => guard.check(resource, 1n));
  }
});

test('a full guard refuses a new resource rather than forget one', (t) => {
  const guard = memoryGuard({ maxResources: 1 });
  guard.check('a', 2n);
  t.throws(() => guard.check('b', 1n), { instanceOf: LimitExceededError });
  t.throws(() => guard.check('a', 1n), { instanceOf: StaleTokenError });
});

test('options that nobody reads are refused', (t) => {
  t.throws(() => memoryGuard({ maxResource: 1 } as object), { instanceOf: TypeError, message: /"maxResource"/ });
  t.throws(() => memoryGuard({ maxResources: null as never }), { instanceOf: RangeError, message: /got null/ });
  t.throws(() => memoryGuard({ maxResources: 0 }), { instanceOf: RangeError, message: /maxResources/ });
});
