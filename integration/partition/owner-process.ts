import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CoordinatorOptions } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { killAtExit } from '../servers/server-process.ts';

export interface OwnerOptions {
  readonly coordinator: CoordinatorOptions;
  readonly name: string;
  readonly count: number;
}

/** What an owner says; `at` is the machine's monotonic clock, in milliseconds. */
export type Report =
  | { readonly kind: 'begun'; readonly partition: number; readonly token: bigint; readonly at: number }
  | { readonly kind: 'held'; readonly ids: readonly string[]; readonly at: number }
  | { readonly kind: 'told'; readonly id: string; readonly at: number; readonly why: string }
  | { readonly kind: 'ended'; readonly id: string; readonly at: number };

/** What was got in one turn has one token: tokens are of one order for each partition alone. */
export function idOf({ partition, token }: { readonly partition: number; readonly token: bigint }): string {
  return `${partition} ${token}`;
}

/** An owner with a process and a network of its own, so that each can be hit alone. */
export class OwnerProcess implements AsyncDisposable {
  readonly instanceId: string;
  readonly proxy: FaultProxy;
  readonly #options: OwnerOptions;
  readonly #onReport: (report: Report) => void;
  #child: ChildProcess;

  private constructor(
    proxy: FaultProxy,
    instanceId: string,
    { coordinator, ...options }: OwnerOptions,
    onReport: (report: Report) => void,
  ) {
    this.proxy = proxy;
    this.instanceId = instanceId;
    this.#options = { ...options, coordinator: { ...coordinator, endpoints: proxy.endpoint, instanceId } };
    this.#onReport = onReport;
    this.#child = this.#fork();
  }

  /** Starts one, and does not wait for it. `endpoint`: of etcd; it connects through a proxy of its own. */
  static async start(
    endpoint: string,
    instanceId: string,
    options: OwnerOptions,
    onReport: (report: Report) => void,
  ): Promise<OwnerProcess> {
    return new OwnerProcess(await FaultProxy.start(endpoint), instanceId, options, onReport);
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.proxy.stop();
  }

  #fork(): ChildProcess {
    const script = fileURLToPath(new URL('./owner.js', import.meta.url));
    /* Bigints pass as they are. */
    const child = fork(script, [JSON.stringify(this.#options)], { serialization: 'advanced' });
    killAtExit(child);
    child.on('message', (report) => this.#onReport(report as Report));
    return child;
  }
}
