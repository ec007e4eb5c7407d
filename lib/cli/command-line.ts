import { parseArgs } from 'node:util';
import { UsageError, type Command, type GivenOptions, type OptionSpecs } from './command.ts';
import { COMMON_OPTIONS, variableOf } from './common-options.ts';
import { parseDuration } from './duration.ts';

/** A command line, taken apart. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly rest: readonly string[];
  readonly options: GivenOptions;
}

/** The command that the words begin with, and what is left of them: the longest name counts. */
export function commandOf(
  words: readonly string[],
  commands: readonly Command[],
): { readonly command: Command; readonly words: readonly string[] } | undefined {
  const matches = commands
    .filter(({ name }) => name.split(' ').every((part, index) => words[index] === part))
    .toSorted((a, b) => b.name.length - a.name.length);
  const [command] = matches;
  return command && { command, words: words.slice(command.name.split(' ').length) };
}

/** Takes the words of a command apart, by its options and the common ones. Throws a UsageError that says what is wrong. */
export function takeApart(command: Command, words: readonly string[], environment: NodeJS.ProcessEnv): CommandLine {
  const specs: OptionSpecs = { ...COMMON_OPTIONS, ...command.options };
  const at = words.indexOf('--');
  const own = at === -1 ? words : words.slice(0, at);
  const rest = at === -1 ? [] : words.slice(at + 1);
  const { values, positionals } = parse(specs, own);
  const text = (name: string): string | undefined => {
    const given = values[name];
    if (typeof given === 'string') return given;
    const fromEnvironment = environment[variableOf(name)];
    return fromEnvironment === '' ? undefined : fromEnvironment;
  };
  const options: GivenOptions = {
    flag: (name) => values[name] === true || ['1', 'true'].includes(environment[variableOf(name)] ?? ''),
    text,
    durationMs: (name) => {
      const given = text(name);
      return given === undefined ? undefined : parseDuration(`--${name}`, given);
    },
    number: (name) => {
      const given = text(name);
      return given === undefined ? undefined : wholeNumber(`--${name}`, given);
    },
  };
  if (!options.flag('help')) expectWords(command, positionals, rest, at !== -1);
  return { args: positionals, rest, options };
}

/** Throws a UsageError that names what it should have been. */
export function wholeNumber(what: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new UsageError(`Expected ${what} to be a whole number, got ${JSON.stringify(text)}`);
  }
  return Number(text);
}

/** What a word begins with that is a number below zero, and so no option: a value of a config can be one. */
const BELOW_ZERO = /^-(?=\d)/;
const DISGUISE = '\u0000-';

function parse(
  specs: OptionSpecs,
  words: readonly string[],
): { readonly values: Record<string, string | boolean | undefined>; readonly positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type }]) => [
      name,
      { type: type === 'flag' ? ('boolean' as const) : ('string' as const), ...(name === 'help' && { short: 'h' }) },
    ]),
  );
  try {
    const args = words.map((word) => word.replace(BELOW_ZERO, DISGUISE));
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    return {
      values: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, undisguised(value)])),
      positionals: positionals.map(undisguised),
    };
  } catch (error) {
    /* What follows the first sentence is advice that is not ours. */
    const [first = ''] = (error as Error).message.split(/\.(?:\s|$)/);
    throw new UsageError(`${first}. Try holdfast help.`);
  }
}

function undisguised<T>(value: T): T | string {
  return typeof value === 'string' ? value.replace(DISGUISE, '-') : value;
}

function expectWords(
  { name, usage, takes, takesCommand = false }: Command,
  args: readonly string[],
  rest: readonly string[],
  hasRest: boolean,
): void {
  const shown = `holdfast ${name} ${usage}`;
  if (args.length < takes.least || args.length > takes.most) {
    throw new UsageError(`Expected ${shown}, got ${args.length === 1 ? 'one word' : `${args.length} words`}`);
  }
  if (takesCommand && rest.length === 0) throw new UsageError(`Expected a command behind --: ${shown}`);
  if (!takesCommand && hasRest) throw new UsageError(`Expected nothing behind --: ${shown}`);
}
