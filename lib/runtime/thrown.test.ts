import test from 'ava';
import { textOf } from './thrown.ts';

class Unreadable extends Error {
  override get message(): string {
    throw new Error('not even this');
  }
}

const cases: readonly (readonly [thrown: unknown, text: string])[] = [
  [new TypeError('wrong'), 'TypeError: wrong'],
  ['plain', 'plain'],
  [undefined, 'undefined'],
  [7n, '7'],
  [Symbol('s'), 'Symbol(s)'],
  [Object.create(null), 'something was thrown of which no text can be made'],
  [new Unreadable(), 'something was thrown of which no text can be made'],
];
for (const [index, [thrown, text]] of cases.entries()) {
  test(`whatever was thrown has a text: ${index}, ${text}`, (t) => {
    t.is(textOf(thrown), text);
  });
}
