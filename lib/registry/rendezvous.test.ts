import test from 'ava';
import * as fc from 'fast-check';
import { rendezvousOrder, weightsOf } from './rendezvous.ts';

const groups = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 2, maxLength: 12 });

test('everybody comes to the same order, whatever order they know the members in; who goes leaves that of the others', (t) => {
  fc.assert(
    fc.property(groups, fc.string(), (members, key) => {
      const order = rendezvousOrder(key, members);
      t.deepEqual(order.toSorted(), members.toSorted());
      t.deepEqual(rendezvousOrder(key, members.toReversed()), order);
      const [gone] = members;
      t.deepEqual(
        rendezvousOrder(key, members.slice(1)),
        order.filter((member) => member !== gone),
      );
    }),
    { numRuns: 50 },
  );
});

test('the weights of a member are one for each key, and the same for fewer keys', (t) => {
  const all = weightsOf('a', 20);
  t.is(new Set(all).size, 20);
  t.deepEqual(weightsOf('a', 11), all.slice(0, 11));
  t.notDeepEqual(weightsOf('b', 20), all);
});
