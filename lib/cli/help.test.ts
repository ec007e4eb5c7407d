import test from 'ava';
import { commands } from './commands.ts';
import { COMMON_OPTIONS } from './common-options.ts';
import { EXIT, EXIT_HELP } from './exit-codes.ts';
import { helpOf, helpOfGroup, overview } from './help.ts';

const unwrapped = (text: string): string => text.replaceAll(/\s+/g, ' ');

test('what help explains fits a terminal of 80 columns', (t) => {
  const examples = new Set(commands.flatMap((command) => command.examples.map((example) => `  ${example}`)));
  for (const text of [overview(commands), ...commands.map(helpOf)]) {
    for (const line of text.split('\n')) t.true(line.length <= 80 || examples.has(line), line);
  }
});

test('the overview names every command, every common option and every exit code but that of our own mistakes', (t) => {
  const text = overview(commands);
  for (const { name, summary } of commands) t.true(unwrapped(text).includes(` ${name} ${summary} `), name);
  for (const name of Object.keys(COMMON_OPTIONS)) t.regex(text, new RegExp(`^  --${name} `, 'm'));
  const codes = Object.values(EXIT).filter((code) => code !== EXIT.internal);
  t.deepEqual(
    EXIT_HELP.map(([code]) => code).toSorted((a, b) => a - b),
    codes.toSorted((a, b) => a - b),
  );
});

for (const command of commands) {
  const { name, usage, options = {}, examples } = command;
  test(`the help of ${name} has its options, and examples of it`, (t) => {
    const text = helpOf(command);
    t.true(text.startsWith(`holdfast ${name} ${usage}`.trimEnd()));
    for (const option of Object.keys(options)) t.regex(text, new RegExp(`^  --${option} `, 'm'));
    t.true(examples.length > 0);
    for (const example of examples) t.true(text.includes(example));
    t.true(examples.some((example) => example.includes(`holdfast ${name}`)));
  });

  test(`${name} has a usage that fits the words it takes`, (t) => {
    const required = usage.replaceAll(/\[[^\]]*\]/g, '').split(/ -- /)[0]!;
    t.is(required.split(' ').filter(Boolean).length, command.takes.least);
    t.is(usage.includes(' -- '), command.takesCommand === true);
  });
}

test('the help of a group has the commands that begin with its word', (t) => {
  const group = commands.filter(({ name }) => name.startsWith('config '));
  const text = helpOfGroup('config', group);
  for (const { name, summary } of group) t.true(unwrapped(text).includes(` ${name} ${summary} `), name);
});

test('no two commands have one name, and no option shadows a common one', (t) => {
  t.is(new Set(commands.map(({ name }) => name)).size, commands.length);
  for (const { options = {} } of commands) {
    for (const option of Object.keys(options)) t.false(option in COMMON_OPTIONS, option);
  }
});
