import test from 'ava';
import { checkPeriods, moved, type Incident, type Period } from './periods.ts';

const limits = { againMs: 100, deliveryMs: 10 };
const first: Period = { owner: 'a', partition: 1, token: 5n, from: 0, to: 50 };
const incident: Incident = { fault: 'killed', owner: 'a', at: 50, before: new Map([[1, 'a']]), isDeposed: false };

const none = new Map();

test('what is right passes, and each thing that is wrong is told', (t) => {
  const next: Period = { owner: 'b', partition: 1, token: 6n, from: 60, to: 90 };
  t.notThrows(() => checkPeriods([first, next], [incident], limits, none));
  t.throws(() => checkPeriods([first, { ...next, from: 40 }], [], limits, none), { message: /Two owners/ });
  t.throws(() => checkPeriods([first, { ...next, token: 5n }], [], limits, none), { message: /not above/ });
  t.throws(() => checkPeriods([first, { ...next, from: 200 }], [incident], limits, none), {
    message: /it took 150 ms/,
  });
  t.throws(() => checkPeriods([first], [incident], limits, none), { message: /Infinity/ });
  /* Of another partition it says nothing. */
  t.notThrows(() => checkPeriods([first, { ...next, partition: 2, from: 10, token: 1n }], [], limits, none));
  t.notThrows(() =>
    checkPeriods(
      [
        { ...first, to: 60 },
        { ...next, from: 55 },
      ],
      [{ ...incident, isDeposed: true }],
      limits,
      none,
    ),
  );
});

test('an owner that an operator deposed has a delivery to learn it, without the time in which it was starved', (t) => {
  const owner = { ...first, to: 100 };
  const next: Period = { owner: 'b', partition: 1, token: 6n, from: 51, to: 200 };
  const check = (isDeposed: boolean, starved: string, at: number): void =>
    checkPeriods([owner, next], [{ ...incident, isDeposed }], limits, new Map([[starved, [{ from: 50, at }]]]));
  t.notThrows(() => check(true, 'a', 95));
  t.throws(() => check(true, 'a', 85), { message: /Two owners/ });
  t.throws(() => check(true, 'b', 95), { message: /Two owners/ });
  t.throws(() => check(false, 'a', 95), { message: /Two owners/ });
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
