import { readFileSync } from 'node:fs';
import type { Coordinator } from '../coordinator.ts';
import { systemClock } from '../runtime/clock.ts';
import { commandOf, takeApart } from './command-line.ts';
import { UsageError, type Command, type ConnectOptions } from './command.ts';
import { connectBy, settingsBy } from './common-options.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { helpOf, helpOfGroup, overview } from './help.ts';
import { Output, type Sink } from './output.ts';

const HELP_WORDS: ReadonlySet<string> = new Set(['help', '--help', '-h']);
const VERSION_WORDS: ReadonlySet<string> = new Set(['version', '--version', '-v']);

/** The process as far as a command may see it. */
export interface Surroundings {
  /** What was typed, without the name of the program. */
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly out: Sink & { readonly isTTY?: boolean };
  readonly err: Sink;
  /** All of the standard input. */
  readonly input: () => Promise<string>;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Runs what was typed, and resolves to the exit code. Never rejects. */
export async function run(commands: readonly Command[], surroundings: Surroundings): Promise<number> {
  const { words, environment, out, err, input, signal } = surroundings;
  const isColoured = out.isTTY === true && (environment['NO_COLOR'] ?? '') === '';
  let output = new Output({ out, err, isColoured, isJson: false });
  const coordinators: Coordinator[] = [];
  try {
    const [first = 'help'] = words;
    if (VERSION_WORDS.has(first)) return print(output, ownVersion());
    const isHelp = HELP_WORDS.has(first);
    const asked = isHelp ? words.slice(1) : words;
    const found = commandOf(asked, commands);
    if (found === undefined) {
      const help = helpOnly(asked, isHelp, commands);
      if (help !== undefined) return print(output, help);
      throw noCommand(asked, commands);
    }
    const { command } = found;
    if (isHelp) return print(output, helpOf(command));
    const { args, rest, options } = takeApart(command, found.words, environment);
    if (options.flag('help')) return print(output, helpOf(command));
    output = new Output({ out, err, isColoured, isJson: options.flag('json') });
    const coordinator = (connectOptions?: ConnectOptions): Coordinator => {
      const coordinator = connectBy(options, environment, connectOptions);
      coordinators.push(coordinator);
      return coordinator;
    };
    const timeoutMs = options.durationMs('timeout');
    return await command.run({
      args,
      rest,
      options,
      output,
      clock: systemClock,
      signal,
      timeoutMs,
      input,
      coordinator,
      settings: () => settingsBy(options, environment),
    });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return EXIT.no;
    return fail(output, error);
  } finally {
    await Promise.all(coordinators.map((coordinator) => coordinator.close()));
  }
}

/** Of this package, wherever it is installed. */
function ownVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

/** The help that was asked for without a command: of everything, or of what begins with one word, as in `holdfast config --help`. */
function helpOnly(words: readonly string[], isHelp: boolean, commands: readonly Command[]): string | undefined {
  const [first, second] = words;
  if (first === undefined) return overview(commands);
  const group = groupOf(first, commands);
  const isAsked = second === undefined ? isHelp : HELP_WORDS.has(second);
  return isAsked && group.length > 0 ? helpOfGroup(first, group) : undefined;
}

function groupOf(word: string, commands: readonly Command[]): readonly Command[] {
  return commands.filter(({ name }) => name.startsWith(`${word} `));
}

/** Names two words at most: what follows may be a value, which belongs into no error. */
function noCommand(words: readonly string[], commands: readonly Command[]): UsageError {
  const [first = ''] = words;
  if (first.startsWith('-')) {
    return new UsageError(
      `Expected a command before ${JSON.stringify(first.replace(/=.*/s, ''))}: holdfast COMMAND [WORDS] [OPTIONS]. Try holdfast help.`,
    );
  }
  const near = groupOf(first, commands).map(({ name }) => name);
  const advice = near.length === 0 ? 'Try holdfast help.' : `There are ${near.join(', ')}.`;
  return new UsageError(`There is no command ${JSON.stringify(words.slice(0, 2).join(' '))}. ${advice}`);
}

function print(output: Output, text: string): number {
  output.line(text);
  return EXIT.ok;
}

function fail(output: Output, error: unknown): number {
  const code = exitCodeOf(error);
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  /* A mistake of ours is told with where it happened. */
  output.note(`holdfast: ${code === EXIT.internal ? stack : message}`);
  return code;
}
