import test from 'ava';
import type { Clock } from '../runtime/clock.ts';
import { RetryBudget } from './retry-budget.ts';

/** A clock that stands still until it is told to move. */
function handClock(): Clock & { advance(ms: number): void } {
  let nowMs = 0;
  return {
    now: () => ({ monotonicMs: nowMs, wallMs: nowMs }),
    schedule: () => () => {},
    advance(ms) {
      nowMs += ms;
    },
  };
}

test('it starts full, and is empty after its capacity in retries', (t) => {
  const budget = new RetryBudget(handClock(), { capacity: 3 });
  t.deepEqual(
    [1, 2, 3, 4].map(() => budget.withdraw()),
    [true, true, true, false],
  );
});

test('while every attempt fails, retries are a fixed share of the calls', (t) => {
  const budget = new RetryBudget(handClock(), { ratio: 0.1, capacity: 10 });
  let retries = 0;
  for (let call = 0; call < 1_000; call++) {
    budget.deposit();
    while (budget.withdraw()) retries++;
  }
  t.true(retries >= 100 && retries <= 110, `${retries} retries`);
});

test('time alone earns retries, up to the capacity', (t) => {
  const clock = handClock();
  const budget = new RetryBudget(clock, { minPerSecond: 2, capacity: 4 });
  while (budget.withdraw());
  clock.advance(500);
  t.true(budget.withdraw());
  t.false(budget.withdraw());
  clock.advance(3_600_000);
  t.is(budget.balance, 4);
});

test('a wrong option is a RangeError that names it', (t) => {
  t.throws(() => new RetryBudget(handClock(), { ratio: -1 }), { instanceOf: RangeError, message: /`ratio`/ });
  t.throws(() => new RetryBudget(handClock(), { capacity: 0 }), { instanceOf: RangeError, message: /`capacity`/ });
  t.throws(() => new RetryBudget(handClock(), { minPerSecond: Number.NaN }), {
    instanceOf: RangeError,
    message: /`minPerSecond`/,
  });
});
