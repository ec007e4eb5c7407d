import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunAs } from '../provision/postgres.ts';

// A real server as a child of the test, which must not outlive it:
//
// - It stays in the test's process group, so Ctrl-C in a terminal reaches both.
// - When the test's process exits, by itself or by a signal, the child gets SIGKILL by its pid and its folders are removed.
// - When the test's process is killed outright, the kernel kills the child (prctl PR_SET_PDEATHSIG, through setpriv where
//   there is one). Folders below the system's temporary one are left behind then.

/** A thread that waits for the disk stops when that is done. */
const PAUSE_WITHIN_MS = 2_000;

export interface ServerProcessOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly runAs?: RunAs | undefined;
  readonly cwd?: string | undefined;
}

export interface StopOptions {
  /** @default 'SIGTERM' */
  readonly signal?: NodeJS.Signals | undefined;
  /** After how long SIGKILL follows. @default 5000 */
  readonly killAfterMs?: number | undefined;
}

/**
 * A server did not come up. `occupied` says that another process holds what it needs: one that was faster with a port, or
 * one that a killed PostgreSQL left behind for a moment.
 */
class ServerStartError extends Error {
  override readonly name = 'ServerStartError';
  readonly occupied: boolean;

  constructor(message: string, output: string) {
    super(`${message}\n${output}`);
    this.occupied = /address already in use|could not bind|bind:|pre-existing shared memory|lock file/i.test(output);
  }
}

const keptLines = 200;
const pollMs = 20;
const pauseMs = 100;

export class ServerProcess {
  readonly pid: number;
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #lines: string[] = [];

  constructor(command: string, args: readonly string[], options: ServerProcessOptions = {}) {
    this.#command = command;
    const [file, ...rest] = [...withParentDeathSignal(), command, ...args] as [string, ...string[]];
    this.#child = spawn(file, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...options.runAs,
    });
    this.#exited = once(this.#child, 'exit').catch((error: unknown) => this.#keep(String(error)));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    }
    this.pid = this.#child.pid ?? 0;
    if (this.pid === 0) return;
    killAtExit(this.#child);
  }

  get isRunning(): boolean {
    return this.pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last lines that the server wrote. */
  get output(): string {
    return this.#lines.join('\n');
  }

  signal(name: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(name);
  }

  /**
   * SIGSTOP, and returns when every thread has stopped. The signal alone is on its way to each of them: on a busy machine one can go on
   * answering for some milliseconds.
   */
  pause(): void {
    const { pid } = this.#child;
    if (!this.isRunning || pid === undefined) return;
    this.#child.kill('SIGSTOP');
    const deadline = performance.now() + PAUSE_WITHIN_MS;
    while (!isStopped(pid) && performance.now() < deadline);
  }

  /** Stops it freely or by force; resolves when it is gone, also if it was already. */
  async stop({ signal = 'SIGTERM', killAfterMs = 5_000 }: StopOptions = {}): Promise<void> {
    if (!this.isRunning) return;
    this.#child.kill(signal);
    // A paused process takes no signal but SIGKILL before it goes on.
    this.#child.kill('SIGCONT');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), killAfterMs);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Resolves when `probe` does so with true; rejects when the process exits or the time is up. */
  async untilReady(probe: () => Promise<boolean>, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await probe().catch(() => false))) {
      if (!this.isRunning) throw new ServerStartError(`${this.#command} exited instead of starting.`, this.output);
      if (performance.now() > deadline) {
        throw new ServerStartError(`${this.#command} did not become ready within ${withinMs} ms.`, this.output);
      }
      await sleep(pollMs);
    }
  }

  #keep(text: string): void {
    this.#lines = [...this.#lines, ...text.trimEnd().split('\n')].slice(-keptLines);
  }
}

/**
 * Runs `start` again as long as another process holds what it needs. A first start picks new ports every time; a restart
 * needs its own ones, and waits for them.
 */
export async function retryWhileOccupied<T>(start: () => Promise<T>, attempts = 20): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof ServerStartError && error.occupied) || attempt === attempts) throw error;
      await sleep(pauseMs);
    }
  }
}

/** Sends SIGKILL to a child, if it still runs, when this process exits. */
export function killAtExit(child: ChildProcess): void {
  cleanUpAtExit();
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Removes a folder when this process exits. */
export function removeAtExit(folder: string): void {
  cleanUpAtExit();
  folders.add(folder);
}

const children = new Set<ChildProcess>();
const folders = new Set<string>();
let cleaning = false;

function cleanUpAtExit(): void {
  if (cleaning) return;
  cleaning = true;
  process.once('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      // Somebody else who handles the signal decides when the process ends; 'exit' follows then.
      if (process.listenerCount(signal) > 0) return;
      cleanUp();
      process.kill(process.pid, signal);
    });
  }
}

/** Where the kernel tells (Linux); elsewhere the signal has to do. */
function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    });
  } catch {
    return true;
  }
}

function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 });
    } catch {
      // A dying server may still write to it. It is a temporary folder: leave it to the system.
    }
  }
}

let parentDeathSignal: readonly string[] | undefined;

/** The prefix of a command line that makes the kernel end the child when this process dies; empty where there is none. */
export function withParentDeathSignal(): readonly string[] {
  const prefix = ['setpriv', '--pdeathsig', 'KILL'];
  parentDeathSignal ??=
    spawnSync('setpriv', [...prefix.slice(1), 'true'], { stdio: 'ignore' }).status === 0 ? prefix : [];
  return parentDeathSignal;
}
