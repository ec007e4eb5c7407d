import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CoordinatorOptions } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { machineMs } from '../election/machine-clock.ts';
import { killAtExit } from '../servers/server-process.ts';
import type { Exclusive, Workload } from './history.ts';
import type { Progress } from './recorder.ts';

/** The argument of the program of a client, as JSON. */
export interface ClientOptions {
  readonly coordinator: CoordinatorOptions;
  readonly requestDeadlineMs: number;
  readonly registerUrl: string;
  readonly historyFile: string;
}

export interface ClientStart extends Omit<ClientOptions, 'historyFile'> {
  readonly name: string;
  /** What each of its processes runs. @default 'client' */
  readonly program?: 'client' | 'etcd3-client' | 'careless-client';
  /** Its processes can call the collector, and write down what they need. @default false */
  readonly watchesResources?: boolean;
  /** Of etcd: it connects to each member through a proxy of its own. */
  readonly endpoints: readonly string[];
  /** Where histories are kept. */
  readonly folder: string;
}

export interface Life {
  readonly name: string;
  readonly file: string;
}

/** A client with a process and a network of its own, so that each can be hit alone. */
export class ClientProcess implements AsyncDisposable {
  readonly name: string;
  readonly #options: ClientStart;
  readonly #proxies: readonly FaultProxy[];
  readonly #lives: Life[] = [];
  readonly #progress = new Map<Workload | Exclusive, number>();
  #announcedAt = 0;
  #child: ChildProcess;

  private constructor(options: ClientStart, proxies: readonly FaultProxy[]) {
    this.name = options.name;
    this.#options = options;
    this.#proxies = proxies;
    this.#child = this.#fork();
  }

  static async start(options: ClientStart): Promise<ClientProcess> {
    const proxies = await Promise.all(options.endpoints.map((endpoint) => FaultProxy.start(endpoint)));
    return new ClientProcess(options, proxies);
  }

  /** The processes that it has been, and their histories. */
  get lives(): readonly Life[] {
    return this.#lives;
  }

  /** Of the process that it is now. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** How many connections to etcd it has. */
  get connections(): number {
    return this.#proxies.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** When a workload, or a part of it, last got on, by the machine's clock. */
  progressedAt(of: Workload | Exclusive): number {
    return this.#progress.get(of) ?? 0;
  }

  /** When it last announced a write under the lock. */
  get announcedAt(): number {
    return this.#announcedAt;
  }

  /** Does the same to every connection that it has. */
  network(act: (proxy: FaultProxy) => void): void {
    for (const proxy of this.#proxies) act(proxy);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): boolean {
    return this.#child.kill(name);
  }

  /** Resolves to whether it ran until then. */
  async kill(): Promise<boolean> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return false;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    return true;
  }

  /** Another process in the place of one that was killed. */
  revive(): void {
    this.#child = this.#fork();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
  }

  #fork(): ChildProcess {
    const { program = 'client', watchesResources = false } = this.#options;
    const { coordinator, requestDeadlineMs, registerUrl, folder } = this.#options;
    const life = `${this.name}.${this.#lives.length + 1}`;
    const historyFile = path.join(folder, `${life}.ndjson`);
    this.#lives.push({ name: life, file: historyFile });
    const options: ClientOptions = {
      coordinator: {
        ...coordinator,
        endpoints: this.#proxies.map(({ endpoint }) => endpoint),
        instanceId: life,
      },
      requestDeadlineMs,
      registerUrl,
      historyFile,
    };
    const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
    const flags = watchesResources ? ['--expose-gc'] : [];
    const child = fork(file, [JSON.stringify(options)], { execArgv: [...process.execArgv, ...flags] });
    killAtExit(child);
    child.on('message', (message) => {
      const progress = message as Progress;
      if ('of' in progress) this.#progress.set(progress.of, machineMs());
      else this.#announcedAt = machineMs();
    });
    return child;
  }
}
