import type { CompleteOptions } from '../coordinator-options.ts';
import type { Coordinator } from '../coordinator.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Output } from './output.ts';

/** An option of a command, as it is written and explained. */
export interface OptionSpec {
  /** `flag` takes no value; `duration` is `5s` or `250ms`, and given to the command in milliseconds. */
  readonly type: 'flag' | 'text' | 'duration' | 'number';
  /** What stands for the value in the help: `NAME`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The options that were given, by their names as they are written. */
export interface GivenOptions {
  readonly flag: (name: string) => boolean;
  readonly text: (name: string) => string | undefined;
  readonly durationMs: (name: string) => number | undefined;
  readonly number: (name: string) => number | undefined;
}

/** How a coordinator is made for a command. */
export interface ConnectOptions {
  /** Within what each of its calls ends, in milliseconds. @default the coordinator's own */
  readonly deadlineMs?: number | undefined;
}

/** What a command is called with. */
export interface Call {
  /** What stands between the name of the command and the options. */
  readonly args: readonly string[];
  /** What stands behind `--`. */
  readonly rest: readonly string[];
  readonly options: GivenOptions;
  readonly output: Output;
  readonly clock: Clock;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** How long etcd, or a turn, is waited for, in milliseconds: `--timeout`; `undefined` where it was not given. */
  readonly timeoutMs: number | undefined;
  /** All of the standard input. */
  readonly input: () => Promise<string>;
  /** A coordinator by the common options, which is closed when the command has ended. Connects in the background. */
  readonly coordinator: (options?: ConnectOptions) => Coordinator;
  /** What a coordinator would be made of. */
  readonly settings: () => CompleteOptions;
}

export interface Command {
  /** One word, or two: `config set`. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What follows the name: `NAME -- CMD…`. */
  readonly usage: string;
  readonly details?: string;
  readonly options?: OptionSpecs;
  readonly examples: readonly string[];
  /** How many words it takes before the options. */
  readonly takes: { readonly least: number; readonly most: number };
  /** Whether it takes a command behind `--`. */
  readonly takesCommand?: boolean;
  /** Resolves to the exit code. */
  readonly run: (call: Call) => Promise<number>;
}

/** It was found out that there is nothing of that name. */
export class NothingThereError extends Error {
  override readonly name = 'NothingThereError';
}

/** A mistake on the command line, told with a pointer to the help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
