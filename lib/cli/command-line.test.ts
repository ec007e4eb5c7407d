import test from 'ava';
import { commandOf, takeApart } from './command-line.ts';
import { UsageError, type Command } from './command.ts';
import { variableOf } from './common-options.ts';

const command = (name: string, details: Partial<Command> = {}): Command => ({
  name,
  summary: 'Does it',
  usage: 'NAME [--limit N] [--force]',
  options: {
    limit: { type: 'number', value: 'N', help: 'how many' },
    force: { type: 'flag', help: 'at any price' },
    value: { type: 'text', value: 'TEXT', help: 'what' },
  },
  examples: [],
  takes: { least: 1, most: 2 },
  run: async () => 0,
  ...details,
});
const plain = command('config get');
const runs = command('lock', { takesCommand: true });

test('the longest name that the words begin with is the command', (t) => {
  const commands = [command('config'), command('config get'), command('lock')];
  const names: readonly (readonly [words: string, name: string | undefined, left: readonly string[]])[] = [
    ['config get limits', 'config get', ['limits']],
    ['config limits', 'config', ['limits']],
    ['lock', 'lock', []],
    ['confi get', undefined, []],
    ['get config', undefined, []],
  ];
  for (const [words, name, left] of names) {
    const found = commandOf(words.split(' '), commands);
    t.is(found?.command.name, name);
    t.deepEqual(found?.words ?? [], left);
  }
});

test('words, options and what stands behind -- are told apart, in any order', (t) => {
  const { args, rest, options } = takeApart(runs, ['--limit=3', 'a', '--force', '--', 'sh', '--limit', '4', '--'], {});
  t.deepEqual(args, ['a']);
  t.deepEqual(rest, ['sh', '--limit', '4', '--']);
  t.is(options.number('limit'), 3);
  t.true(options.flag('force'));
  t.is(options.text('value'), undefined);
  t.false(options.flag('json'));
});

test('a number below zero is a word or a value, and no option', (t) => {
  const { args, options } = takeApart(plain, ['a', '-5', '--value', '-1.5'], {});
  t.deepEqual(args, ['a', '-5']);
  t.is(options.text('value'), '-1.5');
});

test('an option is also read from the environment; what is typed counts', (t) => {
  t.is(variableOf('ca-file'), 'HOLDFAST_CA_FILE');
  const environment = { HOLDFAST_LIMIT: '7', HOLDFAST_FORCE: '1', HOLDFAST_VALUE: '', HOLDFAST_TIMEOUT: '5s' };
  const { options } = takeApart(plain, ['a'], environment);
  t.is(options.number('limit'), 7);
  t.true(options.flag('force'));
  t.is(options.text('value'), undefined);
  t.is(options.durationMs('timeout'), 5_000);
  t.is(takeApart(plain, ['a', '--limit', '8'], environment).options.number('limit'), 8);
  t.false(takeApart(plain, ['a'], { HOLDFAST_FORCE: '0' }).options.flag('force'));
});

const refusals: readonly (readonly [what: string, command: Command, words: readonly string[], message: RegExp])[] = [
  ['an unknown option', plain, ['a', '--limits', '3'], /^Unknown option '--limits'\. Try/],
  ['an option without its value', plain, ['a', '--limit'], /--limit/],
  ['a flag with a value', plain, ['a', '--force=yes'], /--force/],
  ['too few words', plain, [], /^Expected holdfast config get NAME .* got 0 words/],
  ['too many words', plain, ['a', 'b', 'c'], /got 3 words$/],
  [
    'a word that is missing beside one that is there',
    command('config set', { takes: { least: 2, most: 2 } }),
    ['a'],
    /got one word$/,
  ],
  ['no command where one is due', runs, ['a'], /behind --/],
  ['nothing behind --', runs, ['a', '--'], /behind --/],
  ['a command where none is due', plain, ['a', '--', 'sh'], /Expected nothing behind --/],
];
for (const [what, each, words, message] of refusals) {
  test(`${what} is a mistake that is told`, (t) => {
    t.throws(() => takeApart(each, words, {}), { instanceOf: UsageError, message });
  });
}

test('what is no whole number is refused when it is asked for, by the name of its option', (t) => {
  for (const text of ['x', '-1', '1.5', '1e3', '', ' 1', '1234567890123456']) {
    const { options } = takeApart(plain, ['a', `--limit=${text}`], {});
    t.throws(() => options.number('limit'), { instanceOf: UsageError, message: /^Expected --limit to be a whole/ });
  }
});

test('a value that was typed for a config is in no message', (t) => {
  const error = t.throws(() => takeApart(plain, ['limits', 'secret', 'secret'], {}), { instanceOf: UsageError });
  t.notRegex(error.message, /secret/);
});

test('whoever asks for help need not get the words right', (t) => {
  for (const word of ['--help', '-h']) t.true(takeApart(plain, [word], {}).options.flag('help'));
});
