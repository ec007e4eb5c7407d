/** The workers' processes: started, told things, stopped, killed, ended. None of them outlives the demo. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killAtExit, withParentDeathSignal } from '../../integration/servers/server-process.ts';
import type { FromWorker, ToWorker, WorkerOrders } from './messages.ts';
import type { Reports } from './reports.ts';

/** How long a worker may take to close, in milliseconds. Closing drains for two seconds at most. */
const FINISH_MS = 10_000;

/** Starts a compiled file of this folder that reports over a channel, and that the kernel ends when this process dies. */
export function forkBeside(file: string, args: readonly string[]): ChildProcess {
  const [execPath, ...execArgv] = [...withParentDeathSignal(), process.execPath];
  const child = fork(path.join(import.meta.dirname, file), args, {
    execPath,
    execArgv: [...execArgv, '--enable-source-maps'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  killAtExit(child);
  return child;
}

export class Crew implements AsyncDisposable {
  readonly #orders: Omit<WorkerOrders, 'name' | 'seed'>;
  readonly #seed: number;
  readonly #reports: Reports;
  readonly #children = new Map<string, ChildProcess>();
  readonly #leaving = new Set<string>();
  #hired = 0;

  constructor(reports: Reports, orders: Omit<WorkerOrders, 'name' | 'seed'>, { seed }: { readonly seed: number }) {
    this.#reports = reports;
    this.#orders = orders;
    this.#seed = seed;
  }

  /** The names of those who are there. */
  get names(): readonly string[] {
    return [...this.#children.keys()];
  }

  /** Starts one more worker and returns its name. */
  hire(): string {
    this.#hired += 1;
    const worker = `w${this.#hired}`;
    const orders: WorkerOrders = { ...this.#orders, name: worker, seed: this.#seed + this.#hired };
    const child = forkBeside('worker.js', [JSON.stringify(orders)]);
    this.#children.set(worker, child);
    child.on('message', (message) => this.#reports.publish({ worker, ...(message as FromWorker) }));
    child.once('exit', (code, signal) => {
      this.#children.delete(worker);
      const expected = this.#leaving.delete(worker) && (code === 0 || signal === 'SIGKILL');
      this.#reports.publish({ worker, type: 'exited', expected, how: signal ?? `status ${code}` });
    });
    return worker;
  }

  pidOf(worker: string): number | undefined {
    return this.#children.get(worker)?.pid;
  }

  tell(worker: string, message: ToWorker): void {
    const child = this.#children.get(worker);
    /* One that has just died does not hear it; its end is reported, and its job delivered again. */
    if (child?.connected === true) child.send(message, () => undefined);
  }

  /** Stops it where it stands, if it is not yet that time on the machine's monotonic clock; lets it go on if it is. */
  pauseBefore(worker: string, time: bigint): boolean {
    this.#children.get(worker)?.kill('SIGSTOP');
    if (process.hrtime.bigint() < time) return true;
    this.resume(worker);
    return false;
  }

  resume(worker: string): void {
    this.#children.get(worker)?.kill('SIGCONT');
  }

  kill(worker: string): void {
    this.#leaving.add(worker);
    this.#children.get(worker)?.kill('SIGKILL');
  }

  /** Asks all to close, and resolves when they have ended by themselves. */
  async finish(): Promise<void> {
    const ended = [...this.#children].map(async ([worker, child]) => {
      this.#leaving.add(worker);
      const exit = once(child, 'exit');
      this.tell(worker, { type: 'finish' });
      const late = await Promise.race([exit.then(() => false), sleep(FINISH_MS, true, { ref: false })]);
      if (late) throw new Error(`${worker} did not end within ${FINISH_MS} ms of being asked to`);
    });
    await Promise.all(ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exits = [...this.#children].map(([worker, child]) => {
      const exit = once(child, 'exit');
      this.kill(worker);
      return exit;
    });
    await Promise.all(exits);
  }
}
