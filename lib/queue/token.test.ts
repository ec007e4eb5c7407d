import test from 'ava';
import * as fc from 'fast-check';
import { packToken, parseToken, unpackToken, type TokenParts } from './token.ts';

/* Part of the public face: the layout never changes. */
const MAX_EPOCH = 255;
const MAX_REVISION = 2n ** 43n - 1n;
const MAX_HANDOFF = 4_095;

const parts: fc.Arbitrary<TokenParts> = fc.record({
  epoch: fc.integer({ min: 0, max: MAX_EPOCH }),
  revision: fc.bigInt({ min: 1n, max: MAX_REVISION }),
  handoff: fc.integer({ min: 0, max: MAX_HANDOFF }),
});

test('the parts come back from a token', (t) => {
  fc.assert(fc.property(parts, (some) => t.deepEqual(unpackToken(packToken(some)), some)));
});

test('tokens are in the order of epoch, then revision, then handoff', (t) => {
  const compare = (one: TokenParts, two: TokenParts): number =>
    one.epoch - two.epoch || Number(one.revision - two.revision) || one.handoff - two.handoff;
  fc.assert(
    fc.property(parts, parts, (one, two) => {
      t.is(Math.sign(Number(packToken(one) - packToken(two))), Math.sign(compare(one, two)));
    }),
  );
});

test('a token is positive, and fits a signed 64-bit integer', (t) => {
  fc.assert(
    fc.property(parts, (some) => {
      const token = packToken(some);
      t.true(token > 0n && token < 2n ** 63n);
      t.is(BigInt.asIntN(64, token), token);
    }),
  );
  t.is(packToken({ epoch: MAX_EPOCH, revision: MAX_REVISION, handoff: MAX_HANDOFF }), 2n ** 63n - 1n);
});

test('a token comes back from its decimal text', (t) => {
  fc.assert(
    fc.property(parts, (some) => {
      const token = packToken(some);
      t.is(parseToken(token.toString()), token);
    }),
  );
});

test('above 2^53 a double tells neighbours no more apart, which is why a token is none', (t) => {
  const token = packToken({ epoch: 1, revision: 1n, handoff: 1 });
  t.not(token, token - 1n);
  t.is(Number(token), Number(token - 1n));
});

const misfits: readonly TokenParts[] = [
  { epoch: -1, revision: 1n, handoff: 0 },
  { epoch: MAX_EPOCH + 1, revision: 1n, handoff: 0 },
  { epoch: 0.5, revision: 1n, handoff: 0 },
  { epoch: 0, revision: 0n, handoff: 0 },
  { epoch: 0, revision: MAX_REVISION + 1n, handoff: 0 },
  { epoch: 0, revision: 1n, handoff: MAX_HANDOFF + 1 },
  { epoch: 0, revision: 1n, handoff: Number.NaN },
];
for (const misfit of misfits) {
  test(`parts that do not fit are refused, never cut: ${Object.values(misfit).join(' | ')}`, (t) => {
    t.throws(() => packToken(misfit), { instanceOf: RangeError });
  });
}

for (const text of [
  '',
  '0',
  '-1',
  '+1',
  '01',
  '1.0',
  '1e3',
  ' 1',
  '1n',
  '0x1',
  '9223372036854775808',
  '٣',
  12,
  12n,
  undefined,
]) {
  test(`${typeof text} ${String(text)} is no text of a token`, (t) => {
    t.throws(() => parseToken(text as string), { instanceOf: TypeError });
  });
}

for (const value of [0n, -1n, 2n ** 63n, 4096, '4096', undefined, null]) {
  test(`${typeof value} ${String(value)} is no token`, (t) => {
    t.throws(() => unpackToken(value as bigint), { instanceOf: TypeError, message: /fencing token/ });
  });
}
