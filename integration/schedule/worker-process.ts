import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CoordinatorOptions } from '../../lib/index.ts';
import { killAtExit } from '../servers/server-process.ts';

/** A start of the job, as the process that did the work tells it. */
export interface Start {
  readonly by: string;
  readonly scheduledFor: number;
  readonly attempt: number;
  readonly token: bigint;
}

/** One of the processes that have the job. */
export class WorkerProcess implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;

  constructor(options: CoordinatorOptions & { readonly instanceId: string }, onStart: (start: Start) => void) {
    this.name = options.instanceId;
    const script = fileURLToPath(new URL('./worker.js', import.meta.url));
    /* Bigints pass as they are. */
    this.#child = fork(script, [JSON.stringify(options)], { serialization: 'advanced' });
    killAtExit(this.#child);
    this.#child.on('message', (start) => onStart(start as Start));
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
