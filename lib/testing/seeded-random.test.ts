import test from 'ava';
import * as fc from 'fast-check';
import { SeededRandom } from './seeded-random.ts';

const seeds = fc.integer({ min: 0, max: 0xffff_ffff });

test('the same seed gives the same numbers, another seed gives others', (t) => {
  const draw = (seed: number): readonly unknown[] => {
    const random = new SeededRandom(seed);
    return [random.uniform(), random.bits64(), random.integer(1, 6), random.fork().uniform()];
  };
  fc.assert(fc.property(seeds, (seed) => t.deepEqual(draw(seed), draw(seed))));
  t.notDeepEqual(draw(1), draw(2));
});

test('the numbers of a seed never change, since seeds of found bugs are kept', (t) => {
  const random = new SeededRandom(42);
  t.deepEqual(
    [random.bits64(), random.bits64(), random.uniform()],
    [2_836_586_333_680_020_148n, 333_600_959_877_943_329n, 0.534_890_628_468_347_6],
  );
});

test('every number stays within its bounds', (t) => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: -50, max: 50 }), fc.nat(100), (seed, from, width) => {
      const random = new SeededRandom(seed);
      const uniform = random.uniform();
      const integer = random.integer(from, from + width);
      const bits = random.bits64();
      t.true(uniform >= 0 && uniform < 1);
      t.true(Number.isInteger(integer) && integer >= from && integer <= from + width);
      t.true(bits >= 0n && bits < 1n << 64n);
    }),
  );
});

test('the numbers are spread evenly', (t) => {
  const random = new SeededRandom(7);
  const draws = Array.from({ length: 10_000 }, () => random.integer(0, 9));
  for (let digit = 0; digit < 10; digit += 1) {
    const count = draws.filter((draw) => draw === digit).length;
    t.true(count > 850 && count < 1_150, `${digit}: ${count}`);
  }
});
