import test from 'ava';
import * as fc from 'fast-check';
import type { Member } from '../registry/member.ts';
import { Assignment, COUNT, dissenter, LEAVING, partitionOf } from './assignment.ts';

const COUNT_OF_ALL = 64;

function member(address: string, more: Readonly<Record<string, string>> = {}, revision = 1n): Member {
  const metadata = { [COUNT]: String(COUNT_OF_ALL), ...more };
  return { instanceId: address, address, metadata, revision, toJSON: () => ({}) };
}

/** By partition: whose it is. */
function owners(addresses: readonly string[]): ReadonlyMap<number, string> {
  const members = addresses.map((address) => member(address));
  const assignment = new Assignment(COUNT_OF_ALL);
  return new Map(
    addresses.flatMap((address) => [...assignment.of(address, members)].map((partition) => [partition, address])),
  );
}

const groups = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 12 });

test('each partition falls to exactly one member', (t) => {
  fc.assert(
    fc.property(groups, (addresses) => {
      const members = addresses.map((address) => member(address));
      const shares = addresses.map((address) => new Assignment(COUNT_OF_ALL).of(address, members));
      t.is(
        shares.reduce((sum, { size }) => sum + size, 0),
        COUNT_OF_ALL,
      );
      const all = owners(addresses);
      t.is(all.size, COUNT_OF_ALL);
    }),
    { numRuns: 30 },
  );
});

test('who goes gives away what it had and nothing else moves; who comes takes its share and nothing else moves', (t) => {
  fc.assert(
    fc.property(groups, fc.string({ minLength: 13, maxLength: 14 }), (addresses, other) => {
      const without = owners(addresses);
      const together = owners([...addresses, other]);
      for (const [partition, owner] of together) {
        if (owner !== other) t.is(without.get(partition), owner);
      }
    }),
    { numRuns: 30 },
  );
});

test('who is on its way out is given nothing, and who is not there has nothing', (t) => {
  const members = [member('a'), member('b', { [LEAVING]: 'true' })];
  const assignment = new Assignment(COUNT_OF_ALL);
  t.is(assignment.of('a', members).size, COUNT_OF_ALL);
  t.is(assignment.of('b', members).size, 0);
  t.is(assignment.of('c', members).size, 0);
});

test('ten members have their shares of 64, none more than three times the mean', (t) => {
  const shares = new Map<string, number>();
  for (const owner of owners(Array.from({ length: 10 }, (_, index) => `worker-${index}`)).values()) {
    shares.set(owner, (shares.get(owner) ?? 0) + 1);
  }
  t.is(shares.size, 10);
  t.true(Math.max(...shares.values()) < 3 * 6.4, JSON.stringify([...shares]));
});

test('who counts otherwise is given nothing, and takes nothing from those who were there', (t) => {
  const members = [member('a'), member('b', { [COUNT]: '32' })];
  t.is(new Assignment(COUNT_OF_ALL).of('a', members).size, COUNT_OF_ALL);
});

test('only who was there before decides how many there are', (t) => {
  const old = member('old', { [COUNT]: '64' }, 1n);
  const late = member('late', { [COUNT]: '128' }, 2n);
  t.is(dissenter('late', [old, late], 128), old);
  t.is(dissenter('old', [old, late], 64), undefined);
  t.is(dissenter('nobody', [old, late], 64), undefined);
});

test('a key has one partition, the same for ever', (t) => {
  t.is(partitionOf('order:1', 64), 7);
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 1_024 }), (key, count) => {
      const partition = partitionOf(key, count);
      t.true(Number.isInteger(partition) && partition >= 0 && partition < count);
    }),
    { numRuns: 50 },
  );
});
