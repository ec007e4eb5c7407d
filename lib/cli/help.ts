import type { Command, OptionSpecs } from './command.ts';
import { COMMON_OPTIONS, variableOf } from './common-options.ts';
import { EXIT_HELP } from './exit-codes.ts';

const WIDTH = 30;

/** What `holdfast help` prints. */
export function overview(commands: readonly Command[]): string {
  return [
    'holdfast: fenced locks, elections, versioned config and cached reads over etcd',
    '',
    'holdfast COMMAND [WORDS] [OPTIONS] [-- CMD…]',
    '',
    ...commands.map(({ name, summary }) => line(name, summary)),
    line('help [COMMAND]', 'more about a command'),
    '',
    'Every command takes:',
    ...optionLines(COMMON_OPTIONS),
    '',
    `Each is also read from the environment: --ca-file from ${variableOf('ca-file')}. Times are 250ms, 5s, 2m, 1h.`,
    '',
    'Exit codes:',
    ...EXIT_HELP.map(([code, meaning]) => line(String(code), meaning)),
  ].join('\n');
}

/** What `holdfast help COMMAND` prints. */
export function helpOf({ name, usage, summary, details, options = {}, examples }: Command): string {
  return [
    `holdfast ${name} ${usage}`.trimEnd(),
    '',
    `${summary}.`,
    ...(details === undefined ? [] : ['', details]),
    ...(Object.keys(options).length === 0 ? [] : ['', ...optionLines(options)]),
    '',
    ...examples.map((example) => `  ${example}`),
    '',
    'holdfast help: the options that every command takes, and the exit codes.',
  ].join('\n');
}

function optionLines(options: OptionSpecs): readonly string[] {
  return Object.entries(options).map(([name, { value, help }]) =>
    line(`--${name}${value === undefined ? '' : ` ${value}`}`, help),
  );
}

function line(left: string, right: string): string {
  return `  ${left.padEnd(WIDTH)}${right}`;
}
