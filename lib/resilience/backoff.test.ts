import test from 'ava';
import { fullJitterMs } from './backoff.ts';

const options = { baseMs: 100, capMs: 2_000 };

test('the longest wait doubles with every attempt and stops at the cap', (t) => {
  const longest = [0, 1, 2, 3, 4, 5, 60, 5_000].map((attempt) =>
    fullJitterMs(attempt, options, () => 1 - Number.EPSILON),
  );
  t.deepEqual(longest, [99, 199, 399, 799, 1_599, 1_999, 1_999, 1_999]);
});

test('the wait is drawn from the whole interval, zero included', (t) => {
  t.is(
    fullJitterMs(3, options, () => 0),
    0,
  );
  t.is(
    fullJitterMs(3, options, () => 0.5),
    400,
  );
});

test('a negative attempt waits as the first one does', (t) => {
  t.is(
    fullJitterMs(-3, options, () => 0.5),
    50,
  );
});
