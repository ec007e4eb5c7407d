import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commands } from '../../lib/cli/commands.ts';
import { run } from '../../lib/cli/run.ts';
import { until } from '../lock/support/until.ts';
import { environmentTo } from '../servers/access.ts';
import { killAtExit } from '../servers/server-process.ts';

/** What a command has come to. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A command that goes on until it is stopped. */
export interface Going {
  /** What it has printed until now. */
  readonly said: () => string;
  /** Resolves once the standard output has it. */
  readonly says: (what: string | RegExp) => Promise<void>;
  readonly stop: (signal?: NodeJS.Signals) => void;
  readonly ended: Promise<Ended>;
}

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** Somebody who types `holdfast …`, with endpoints and namespace in the environment. */
export class Terminal {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(endpoints: string, namespace: string) {
    this.#environment = environmentTo(endpoints, namespace);
  }

  /** In this process: what a command does is the same there, and no time goes into the start of another one. */
  begin(words: readonly string[], input = ''): Going {
    const stop = new AbortController();
    let [out, err] = ['', ''];
    const ended = run(commands, {
      words,
      environment: this.#environment,
      out: { write: (text) => (out += text) },
      err: { write: (text) => (err += text) },
      input: async () => input,
      signal: stop.signal,
    }).then((code) => ({ code, out, err }));
    const said = (): string => out;
    return { said, says: heard(said), stop: (signal) => stop.abort(new Error(`ended by ${signal}`)), ended };
  }

  /** Runs a command to its end. */
  type(words: readonly string[], input?: string): Promise<Ended> {
    return this.begin(words, input).ended;
  }

  /** As a process of its own, which ends with this one. */
  spawn(words: readonly string[], input = ''): Going {
    const child = spawn(process.execPath, [main, ...words], { env: { ...process.env, ...this.#environment } });
    killAtExit(child);
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.stdin.on('error', () => {}).end(input);
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
    });
    const said = (): string => out;
    return { said, says: heard(said), stop: (signal = 'SIGTERM') => child.kill(signal), ended };
  }
}

function heard(said: () => string): Going['says'] {
  return async (what) => {
    await until(`the command to say ${what}`, () =>
      typeof what === 'string' ? said().includes(what) : what.test(said()),
    );
  };
}

/** What was printed with --json. */
export function documents({ out }: Pick<Ended, 'out'>): readonly Record<string, unknown>[] {
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
