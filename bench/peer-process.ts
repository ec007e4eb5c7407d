import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { killAtExit, withParentDeathSignal } from '../integration/servers/server-process.ts';

const KEPT_CHARACTERS = 4_000;

/** A program that takes part, as a process of its own; see peers/peer.ts for what it is asked. */
export class PeerProcess implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: {
    readonly resolve: (words: readonly string[]) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  readonly #exited: Promise<unknown>;
  #complaints = '';

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    const [file, ...rest] = [...withParentDeathSignal(), command, ...args] as [string, ...string[]];
    this.#child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    killAtExit(this.#child);
    this.#exited = once(this.#child, 'exit').finally(() => this.#end());
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-KEPT_CHARACTERS);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
  }

  /** Resolves to the words of the answer, without the command's own. What is asked at once is answered in any order: ask one thing at a time. */
  async ask(...words: readonly (string | number)[]): Promise<readonly string[]> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${words.join(' ')}\n`);
    });
  }

  /** SIGKILL: nothing is released. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Its input ends, so it lets go of everything and exits. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.#exited;
    clearTimeout(timer);
  }

  #take(line: string): void {
    const [command, ...words] = line.trim().split(' ');
    const asked = this.#waiting.shift();
    if (command === 'failed') asked?.reject(new Error(`${this.name}: ${words.join(' ')}`));
    else asked?.resolve(words);
  }

  #end(): void {
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new Error(`${this.name} ended without an answer. ${this.#complaints}`));
    }
  }
}
