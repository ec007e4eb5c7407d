import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CoordinatorOptions } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { killAtExit } from '../servers/server-process.ts';

export interface CandidateOptions {
  readonly coordinator: CoordinatorOptions;
  readonly election: string;
  readonly value: string;
}

/** What a candidate says of a term; `at` is the machine's monotonic clock, in milliseconds. */
export interface Report {
  readonly kind: 'elected' | 'held' | 'told' | 'ended';
  readonly token: bigint;
  readonly at: number;
  /** With `told`. */
  readonly why?: string;
}

export interface CandidateStart extends Omit<CandidateOptions, 'value'> {
  readonly name: string;
  /** Of etcd; the candidate connects to each through a proxy of its own. */
  readonly endpoints: readonly string[];
  readonly onReport: (report: Report) => void;
}

/** A candidate with a process and a network of its own, so that each can be hit alone. */
export class CandidateProcess implements AsyncDisposable {
  readonly name: string;
  readonly proxies: readonly FaultProxy[];
  readonly #options: CandidateOptions;
  readonly #onReport: (report: Report) => void;
  #child: ChildProcess;

  private constructor(proxies: readonly FaultProxy[], { name, coordinator, election, onReport }: CandidateStart) {
    this.name = name;
    this.proxies = proxies;
    const endpoints = proxies.map(({ endpoint }) => endpoint);
    this.#options = {
      coordinator: { ...coordinator, endpoints, instanceId: name },
      election,
      value: `value of ${name}`,
    };
    this.#onReport = onReport;
    this.#child = this.#fork();
  }

  /** Starts one, and does not wait for it. */
  static async start(options: CandidateStart): Promise<CandidateProcess> {
    const proxies = await Promise.all(options.endpoints.map((endpoint) => FaultProxy.start(endpoint)));
    return new CandidateProcess(proxies, options);
  }

  /** Does the same to every connection that it has. */
  network(act: (proxy: FaultProxy) => void): void {
    for (const proxy of this.proxies) act(proxy);
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

  resign(): void {
    this.#child.send('resign');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
  }

  #fork(): ChildProcess {
    const script = fileURLToPath(new URL('./candidate.js', import.meta.url));
    /* Bigints pass as they are. */
    const child = fork(script, [JSON.stringify(this.#options)], { serialization: 'advanced' });
    killAtExit(child);
    child.on('message', (report) => this.#onReport(report as Report));
    return child;
  }
}
