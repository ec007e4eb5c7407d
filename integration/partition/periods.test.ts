import test from 'ava';
import { checkPeriods, moved, type Incident, type Period } from './periods.ts';

const limits = { againMs: 100, deliveryMs: 10 };
const first: Period = { owner: 'a', partition: 1, token: 5n, from: 0, to: 50 };
const incident: Incident = { fault: 'killed', owner: 'a', at: 50, before: new Map([[1, 'a']]), isDeposed: false };

test('what is right passes, and each thing that is wrong is told', (t) => {
  const next: Period = { owner: 'b', partition: 1, token: 6n, from: 60, to: 90 };
  t.notThrows(() => checkPeriods([first, next], [incident], limits));
  t.throws(() => checkPeriods([first, { ...next, from: 40 }], [], limits), { message: /Two owners/ });
  t.throws(() => checkPeriods([first, { ...next, token: 5n }], [], limits), { message: /not above/ });
  t.throws(() => checkPeriods([first, { ...next, from: 200 }], [incident], limits), { message: /it took 150 ms/ });
  t.throws(() => checkPeriods([first], [incident], limits), { message: /Infinity/ });
  /* Of another partition it says nothing. */
  t.notThrows(() => checkPeriods([first, { ...next, partition: 2, from: 10, token: 1n }], [], limits));
  t.notThrows(() =>
    checkPeriods(
      [
        { ...first, to: 60 },
        { ...next, from: 55 },
      ],
      [{ ...incident, isDeposed: true }],
      limits,
    ),
  );
});

test('what has moved is what has another owner', (t) => {
  t.deepEqual(
    moved(
      new Map([
        [1, 'a'],
        [2, 'b'],
      ]),
      new Map([
        [1, 'a'],
        [2, 'c'],
        [3, 'a'],
      ]),
    ),
    [2, 3],
  );
});
