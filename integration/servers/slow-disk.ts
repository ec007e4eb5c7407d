import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { provideStrace, type ProvidedStrace } from '../provision/strace.ts';
import { killAtExit } from './server-process.ts';

const ATTACH_MS = 5_000;

/**
 * Makes a process wait before each write reaches the disk, as a disk that is slow, or stands still, does: strace holds every `fdatasync`
 * back. The process goes on as before when this is disposed of.
 */
export class SlowDisk implements AsyncDisposable {
  readonly #tracer: ChildProcess;
  #output = '';

  private constructor({ strace, env }: ProvidedStrace, pid: number, delayMs: number) {
    const inject = `inject=fdatasync:delay_enter=${delayMs * 1_000}`;
    this.#tracer = spawn(strace, ['-f', '-e', 'trace=fdatasync', '-e', inject, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    killAtExit(this.#tracer);
    this.#tracer.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
  }

  /** Rejects where no process may be traced. */
  static async of(pid: number, delayMs: number): Promise<SlowDisk> {
    const disk = new SlowDisk(await provideStrace(), pid, delayMs);
    await disk.#attached();
    return disk;
  }

  /** How many writes it has held back so far, also those that it still does. */
  get delayed(): number {
    return this.#output.split('fdatasync(').length - 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#tracer;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.#tracer, 'exit');
    this.#tracer.kill('SIGINT');
    await exited;
  }

  async #attached(): Promise<void> {
    const signal = AbortSignal.timeout(ATTACH_MS);
    while (!this.#output.includes('attached')) {
      if (this.#tracer.exitCode !== null || signal.aborted) {
        await this[Symbol.asyncDispose]();
        throw new Error(`strace did not attach: ${this.#output}`);
      }
      await Promise.race([
        once(this.#tracer.stderr as NodeJS.ReadableStream, 'data', { signal }),
        once(this.#tracer, 'exit', { signal }),
      ]).catch(() => undefined);
    }
  }
}
