import type { Command, OptionSpecs } from './command.ts';
import { COMMON_OPTIONS, variableOf } from './common-options.ts';
import { EXIT_HELP } from './exit-codes.ts';

/** Of a terminal that nobody has made wider. */
const COLUMNS = 80;

/** Where explanations begin. */
const INDENT = 28;

const COMMON_HELP = 'holdfast help: the options that every command takes, and the exit codes.';

/** What `holdfast help` prints. */
export function overview(commands: readonly Command[]): string {
  return [
    'holdfast: fenced locks, elections, versioned config and cached reads over etcd',
    '',
    'holdfast COMMAND [WORDS] [OPTIONS] [-- CMD…]',
    '',
    ...commands.map(({ name, summary }) => line(name, summary)),
    line('help [COMMAND]', 'more about a command'),
    line('version', 'the version of this package'),
    '',
    'Every command takes:',
    ...optionLines(COMMON_OPTIONS),
    '',
    `Each is also read from the environment: --ca-file from ${variableOf('ca-file')}.`,
    'Times are 250ms, 5s, 2m, 1h.',
    "HOLDFAST_LOG=info writes the SDK's log to the standard error.",
    '',
    'Exit codes:',
    ...EXIT_HELP.map(([code, meaning]) => line(String(code), meaning)),
  ].join('\n');
}

/** What `holdfast help config` prints: the commands whose first word it is. */
export function helpOfGroup(word: string, commands: readonly Command[]): string {
  return [
    `holdfast ${word} COMMAND`,
    '',
    ...commands.map(({ name, summary }) => line(name, summary)),
    '',
    `holdfast help ${word} COMMAND: more about one of them.`,
    COMMON_HELP,
  ].join('\n');
}

/** What `holdfast help COMMAND` prints. */
export function helpOf({ name, usage, summary, details, options = {}, examples }: Command): string {
  return [
    `holdfast ${name} ${usage}`.trimEnd(),
    '',
    ...wrapped(`${summary}.`, COLUMNS),
    ...(details === undefined ? [] : ['', ...wrapped(details, COLUMNS)]),
    ...(Object.keys(options).length === 0 ? [] : ['', ...optionLines(options)]),
    '',
    ...examples.map((example) => `  ${example}`),
    '',
    COMMON_HELP,
  ].join('\n');
}

function optionLines(options: OptionSpecs): readonly string[] {
  return Object.entries(options).map(([name, { value, help }]) =>
    line(`--${name}${value === undefined ? '' : ` ${value}`}`, help),
  );
}

function line(left: string, right: string): string {
  const [first, ...others] = wrapped(right, COLUMNS - INDENT);
  return [`  ${left.padEnd(INDENT - 2)}${first}`, ...others.map((each) => ' '.repeat(INDENT) + each)].join('\n');
}

/** Text on lines of at most so many characters, broken between words. What has one line of its own keeps it. */
function wrapped(text: string, width: number): readonly string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines = [''];
    for (const word of paragraph.split(' ')) {
      const last = lines.at(-1) ?? '';
      if (last === '') lines[lines.length - 1] = word;
      else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
      else lines.push(word);
    }
    return lines;
  });
}
