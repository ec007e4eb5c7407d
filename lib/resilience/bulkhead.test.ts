import test from 'ava';
import { Bulkhead } from './bulkhead.ts';

test('places are given in the order in which they were asked for', (t) => {
  const bulkhead = new Bulkhead(2);
  t.deepEqual([bulkhead.tryEnter(), bulkhead.tryEnter(), bulkhead.tryEnter()], [true, true, false]);
  const admitted: string[] = [];
  for (const name of ['a', 'b', 'c']) bulkhead.queue(() => admitted.push(name));
  bulkhead.leave();
  bulkhead.leave();
  t.deepEqual(admitted, ['a', 'b']);
  t.is(bulkhead.inside, 2);
  t.is(bulkhead.waiting, 1);
});

test('one who gives up waiting is passed over', (t) => {
  const bulkhead = new Bulkhead(1);
  bulkhead.tryEnter();
  const admitted: string[] = [];
  const giveUp = bulkhead.queue(() => admitted.push('a'));
  bulkhead.queue(() => admitted.push('b'));
  giveUp();
  bulkhead.leave();
  t.deepEqual(admitted, ['b']);
  bulkhead.leave();
  t.is(bulkhead.inside, 0);
});

test('nobody can slip past a queue', (t) => {
  const bulkhead = new Bulkhead(1);
  bulkhead.tryEnter();
  bulkhead.queue(() => {});
  bulkhead.leave();
  t.false(bulkhead.tryEnter());
});

test('a limit that is not a whole number of at least 1 is refused', (t) => {
  for (const limit of [0, -1, 1.5, Number.NaN]) t.throws(() => new Bulkhead(limit), { instanceOf: RangeError });
});
