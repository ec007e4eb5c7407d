import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killAtExit } from './server-process.ts';

/** A compiled script in a process of its own that reports what it believes, and can be hit as machines hit processes. */
export class ScriptProcess<Report> implements AsyncDisposable {
  readonly #script: string;
  readonly #argument: string;
  readonly #onReport: (report: Report) => void;
  #child: ChildProcess;

  /** `argument` is given to the script as JSON. */
  constructor(script: URL, argument: unknown, onReport: (report: Report) => void) {
    this.#script = fileURLToPath(script);
    this.#argument = JSON.stringify(argument);
    this.#onReport = onReport;
    this.#child = this.#fork();
  }

  /** Of the process that it is now. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Another process in the place of one that was killed. */
  revive(): void {
    this.#child = this.#fork();
  }

  tell(message: string): void {
    this.#child.send(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #fork(): ChildProcess {
    /* Bigints pass as they are. */
    const child = fork(this.#script, [this.#argument], { serialization: 'advanced' });
    killAtExit(child);
    child.on('message', (report) => this.#onReport(report as Report));
    return child;
  }
}
