import test from 'ava';
import {
  expectDuration,
  expectFunction,
  expectGivenOptions,
  expectOptions,
  expectRevision,
  expectSignal,
  expectText,
  expectWholeNumber,
  show,
} from './arguments.ts';

const refused: readonly (readonly [claim: string, act: () => unknown, message: RegExp])[] = [
  ['a negative duration', () => expectDuration('waitMs', -1), /waitMs.*at least 0, got -1/],
  ['a duration below its least', () => expectDuration('waitMs', 0, 1), /at least 1, got 0/],
  ['a duration that is no number', () => expectDuration('waitMs', Number.NaN), /got NaN/],
  ['an endless duration', () => expectDuration('waitMs', Number.POSITIVE_INFINITY), /got Infinity/],
  ['a duration as text', () => expectDuration('waitMs', '5s' as never), /got "5s"/],
  ['half a number', () => expectWholeNumber('permits', 1.5, 1, 9), /permits.*from 1 to 9, got 1.5/],
  ['a number out of bounds', () => expectWholeNumber('permits', 10, 1, 9), /got 10/],
  ['an empty text', () => expectText('name', ''), /name.*not empty, got ""/],
  ['a number for a text', () => expectText('name', 7 as never), /got 7/],
  ['an object for a signal', () => expectSignal({} as never), /AbortSignal, got an object of Object/],
  ['a controller for a signal', () => expectSignal(new AbortController() as never), /an object of AbortController/],
  ['text for a function', () => expectFunction('the work', 'work'), /the work to be a function, got "work"/],
  [
    'options that nobody reads',
    () => expectOptions('acquire', { timeout: 1 } as never, ['timeoutMs' as never]),
    /timeoutMs, got "timeout"/,
  ],
  [
    'nothing, where an option has no default,',
    () => expectGivenOptions('semaphore', undefined as never, []),
    /semaphore to be an object, got undefined/,
  ],
  ['a negative revision', () => expectRevision('ifRevision', -1n), /ifRevision.*not negative, got -1n/],
  ['a number for a revision', () => expectRevision('ifRevision', 1 as never), /ifRevision.*bigint, got 1/],
  ['null for options', () => expectOptions('acquire', null as never, []), /acquire to be an object, got null/],
  ['a list for options', () => expectOptions('acquire', [] as never, []), /to be an object, got an object of Array/],
];
for (const [claim, act, message] of refused) {
  test(`${claim} is refused, with its name, what was expected and what came`, (t) => {
    const error = t.throws(act, { message });
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}

test('what is right is given back as it is', (t) => {
  const { signal } = new AbortController();
  t.is(expectDuration('waitMs', 0.5), 0.5);
  t.is(expectWholeNumber('permits', 4, 1, 9), 4);
  t.is(expectText('name', 'a'), 'a');
  t.is(expectSignal(signal), signal);
  t.is(expectSignal(undefined), undefined);
  t.notThrows(() => expectFunction('the work', () => {}));
  t.notThrows(() => expectOptions('acquire', undefined, []));
  t.notThrows(() => expectOptions('acquire', { timeoutMs: undefined }, ['timeoutMs']));
});

test('a value is shown short, and text apart from numbers', (t) => {
  t.is(show('7'), '"7"');
  t.is(show(7), '7');
  t.is(show(7n), '7n');
  t.is(show(undefined), 'undefined');
  t.is(show(Object.create(null)), 'an object of no class');
  t.is(show({ constructor: { name: Object.create(null) as unknown } }), 'an object of no class');
  t.is(show(Symbol('x')), 'Symbol(x)');
  t.is(
    show(() => 'a secret in the source'),
    'a function',
  );
  t.true(show('x'.repeat(10_000)).length < 100);
});
