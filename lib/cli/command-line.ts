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
      if (given === undefined) return undefined;
      if (!/^\d{1,15}$/.test(given)) {
        throw new UsageError(`Expected --${name} to be a whole number, got ${JSON.stringify(given)}`);
      }
      return Number(given);
    },
  };
  if (!options.flag('help')) expectWords(command, positionals, rest, at !== -1);
  return { args: positionals, rest, options };
}

function parse(
  specs: OptionSpecs,
  words: readonly string[],
): { readonly values: Record<string, string | boolean | undefined>; readonly positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type }]) => [
      name,
      { type: type === 'flag' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
    return { values, positionals };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function expectWords(
  { name, usage, takes, takesCommand = false }: Command,
  args: readonly string[],
  rest: readonly string[],
  hasRest: boolean,
): void {
  const shown = `holdfast ${name} ${usage}`;
  if (args.length < takes.least || args.length > takes.most) {
    throw new UsageError(`Expected ${shown}, got ${args.length} words: ${args.join(' ') || 'none'}`);
  }
  if (takesCommand && rest.length === 0) throw new UsageError(`Expected a command behind --: ${shown}`);
  if (!takesCommand && hasRest) throw new UsageError(`Expected nothing behind --: ${shown}`);
}
