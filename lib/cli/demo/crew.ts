/** The processes of the workers: started, told what to do, stopped, woken, killed. None of them outlives the demo, however that ends. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Journal } from './journal.ts';
import type { Order, Report, WorkerOptions } from './order.ts';

const script = fileURLToPath(new URL('./worker-process.js', import.meta.url));

export class Crew implements AsyncDisposable {
  readonly #children = new Map<string, ChildProcess>();
  readonly #ended: Promise<unknown>[] = [];
  readonly #journal: Journal;
  readonly #onFailure: (error: Error) => void;
  #isOver = false;

  /** `onFailure` is told when a worker ends that nobody has ended. */
  constructor(journal: Journal, onFailure: (error: Error) => void) {
    this.#journal = journal;
    this.#onFailure = onFailure;
  }

  /** Those who live. */
  get names(): readonly string[] {
    return [...this.#children.keys()];
  }

  hire(options: WorkerOptions): void {
    const { name } = options;
    const child = fork(script, [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    });
    this.#children.set(name, child);
    this.#ended.push(once(child, 'exit').catch(() => {}));
    child.on('error', this.#onFailure);
    child.on('message', (message) => {
      const { said, at } = message as Report;
      this.#journal.add({ ...said, worker: name }, at);
    });
    child.on('exit', (code, signal) => {
      /* Whom we have killed is not in the list any more. */
      if (!this.#children.delete(name) || this.#isOver) return;
      this.#onFailure(new Error(`${name} ended by itself, with ${signal ?? `code ${code}`}`));
    });
  }

  pidOf(name: string): number {
    return this.#children.get(name)?.pid ?? 0;
  }

  tell(name: string, order: Order): void {
    const child = this.#children.get(name);
    if (child?.connected === true) child.send(order, () => {});
  }

  tellAll(order: Order): void {
    for (const name of this.names) this.tell(name, order);
  }

  /** A process that is stopped does not notice that its parent dies, so another one is told of it before. */
  stop(name: string): void {
    this.#bequeath(name, this.pidOf(name));
    this.#children.get(name)?.kill('SIGSTOP');
  }

  wake(name: string): void {
    this.#children.get(name)?.kill('SIGCONT');
    this.#bequeath(name, undefined);
  }

  kill(name: string): void {
    const child = this.#children.get(name);
    this.#children.delete(name);
    child?.kill('SIGKILL');
  }

  /** Has them close, and resolves when they have ended. */
  async close(): Promise<void> {
    this.#isOver = true;
    this.tellAll({ do: 'close' });
    await Promise.all(this.#ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    /* Ends also one that is stopped. */
    for (const child of this.#children.values()) child.kill('SIGKILL');
    await Promise.all(this.#ended);
  }

  #bequeath(name: string, pid: number | undefined): void {
    for (const other of this.names) if (other !== name) this.tell(other, { do: 'inherit', pid });
  }
}
