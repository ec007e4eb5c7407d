import test from 'ava';
import * as fc from 'fast-check';
import { isPolluted, storedText } from '../testing/arbitraries.ts';
import { instanceIdOf, leaseOf } from './inspect.ts';

const entry = (key: string, value: string) =>
  ({ key, value, createRevision: 5n, modRevision: 6n, version: 1n, lease: 9n }) as const;

test('a session key says who it is of, or nothing, whatever stands in it', (t) => {
  t.is(instanceIdOf(entry('k', '{"instanceId":"one"}')), 'one');
  fc.assert(
    fc.property(storedText({ instanceId: 'one' }), (text) => {
      const instanceId = instanceIdOf(entry('k', text));
      t.true(instanceId === undefined || typeof instanceId === 'string');
      t.false(isPolluted(undefined));
    }),
    { numRuns: 1_000 },
  );
});

test('a key in a queue is of a lease, that of its name or the one that it is on, whatever its name is', (t) => {
  t.is(leaseOf(entry('test/lock/a/beef-1', '')), 0xbeefn);
  const hex = fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'f', 'g', 'A', '-', '/', '%'), maxLength: 40 });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), hex), (end) => {
      const lease = leaseOf(entry(`test/lock/a/${end}`, ''));
      t.true(lease >= 0n && lease < 2n ** 64n);
    }),
    { numRuns: 1_000 },
  );
});
