import test from 'ava';
import { UsageError } from './command.ts';
import { parseDuration } from './duration.ts';

const durations: readonly (readonly [text: string, ms: number])[] = [
  ['250ms', 250],
  ['5s', 5_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  [' 0s ', 0],
];
for (const [text, ms] of durations) {
  test(`${JSON.stringify(text)} is ${ms} milliseconds`, (t) => {
    t.is(parseDuration('--timeout', text), ms);
  });
}

for (const text of ['', '5', '-5s', '5 s', '5sec', 's', '1e3ms', '.5s', '5s5s', '٣s', 'Infinity']) {
  test(`${JSON.stringify(text)} is refused as a duration, by the name of its option`, (t) => {
    t.throws(() => parseDuration('--timeout', text), { instanceOf: UsageError, message: /--timeout .* such as 250ms/ });
  });
}
