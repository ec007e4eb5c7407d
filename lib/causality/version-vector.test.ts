import test from 'ava';
import * as fc from 'fast-check';
import { VersionVector, type Causality } from './version-vector.ts';

/* Few nodes and small counts, so that all four answers come up; and names that an object would trip over. */
const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', '7'), fc.bigInt({ min: 0n, max: 3n }));
const vectors = counts.map((counts) => new VersionVector(Object.entries(counts)));

const same = (one: VersionVector, two: VersionVector): boolean => JSON.stringify(one) === JSON.stringify(two);
const isAtMost = (one: VersionVector, two: VersionVector): boolean => ['equal', 'before'].includes(one.compare(two));

test('merge is commutative, associative and idempotent', (t) => {
  fc.assert(
    fc.property(vectors, vectors, vectors, (one, two, three) => {
      t.true(same(one.merge(two), two.merge(one)));
      t.true(same(one.merge(two).merge(three), one.merge(two.merge(three))));
      t.true(same(one.merge(one), one));
    }),
  );
});

test('a merge is the least that is not before either', (t) => {
  fc.assert(
    fc.property(vectors, vectors, vectors, (one, two, three) => {
      const merged = one.merge(two);
      t.true(isAtMost(one, merged) && isAtMost(two, merged));
      if (isAtMost(one, three) && isAtMost(two, three)) t.true(isAtMost(merged, three));
    }),
  );
});

test('compare is a partial order', (t) => {
  const mirrored: Record<Causality, Causality> = {
    equal: 'equal',
    before: 'after',
    after: 'before',
    concurrent: 'concurrent',
  };
  const seen = new Set<Causality>();
  fc.assert(
    fc.property(vectors, vectors, vectors, (one, two, three) => {
      seen.add(one.compare(two));
      t.is(one.compare(one), 'equal');
      t.is(two.compare(one), mirrored[one.compare(two)]);
      t.is(one.compare(two) === 'equal', same(one, two));
      if (isAtMost(one, two) && isAtMost(two, three)) t.true(isAtMost(one, three));
    }),
    { numRuns: 500 },
  );
  t.is(seen.size, 4);
});

test('it tells exactly whether a version was made in knowledge of another', (t) => {
  const deed = fc.record({ at: fc.nat({ max: 2 }), reads: fc.option(fc.nat()) });
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
      const versions: { readonly vector: VersionVector; readonly past: ReadonlySet<number> }[] = [];
      const latest: (number | undefined)[] = [undefined, undefined, undefined];
      for (const { at, reads } of deeds) {
        const read = reads === null || versions.length === 0 ? undefined : reads % versions.length;
        const known = [latest[at], read].filter((version) => version !== undefined);
        const merged = known.reduce((sum, version) => sum.merge(versions[version]!.vector), new VersionVector());
        const past = new Set(known.flatMap((version) => [version, ...versions[version]!.past]));
        latest[at] = versions.push({ vector: merged.increment(`node-${at}`), past }) - 1;
      }
      for (const [index, one] of versions.entries()) {
        for (const [other, two] of versions.entries()) {
          const expected =
            index === other ? 'equal' : two.past.has(index) ? 'before' : one.past.has(other) ? 'after' : 'concurrent';
          t.is(one.vector.compare(two.vector), expected);
        }
      }
    }),
  );
});

test('it is immutable', (t) => {
  const one = new VersionVector([['a', 1n]]);
  one.increment('a');
  one.merge(new VersionVector([['b', 5n]]));
  t.deepEqual(one.toJSON(), { a: '1' });
});

test('it comes back from JSON, which is the same however it came about', (t) => {
  fc.assert(
    fc.property(vectors, (vector) => {
      t.true(same(VersionVector.parse(JSON.parse(JSON.stringify(vector))), vector));
    }),
  );
  const [one, two] = [
    new VersionVector().increment('b').increment('a'),
    new VersionVector().increment('a').increment('b'),
  ];
  t.is(JSON.stringify(one), JSON.stringify(two));
});

for (const json of [
  undefined,
  null,
  1,
  '{}',
  [],
  ['1'],
  { a: 1 },
  { a: '-1' },
  { a: '1.5' },
  { '': '1' },
  { a: '9223372036854775808' },
]) {
  test(`${JSON.stringify(json)} is no version vector`, (t) => {
    const error = t.throws(() => VersionVector.parse(json));
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}

test('a node that is given twice is refused', (t) => {
  t.throws(
    () =>
      new VersionVector([
        ['a', 1n],
        ['a', 2n],
      ]),
    { instanceOf: TypeError, message: /twice/ },
  );
});
