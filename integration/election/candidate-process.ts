import type { CoordinatorOptions } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { ScriptProcess } from '../servers/script-process.ts';
import type { Stall } from './stalls.ts';

export interface CandidateOptions {
  readonly coordinator: CoordinatorOptions;
  readonly election: string;
  readonly value: string;
}

/** What a candidate says of a term, and of itself; `at` is the machine's monotonic clock, in milliseconds. */
export type Report = TermReport | ({ readonly kind: 'stall' } & Stall);

export interface TermReport {
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
export class CandidateProcess extends ScriptProcess<Report> {
  readonly name: string;
  readonly proxies: readonly FaultProxy[];

  private constructor(proxies: readonly FaultProxy[], { name, coordinator, election, onReport }: CandidateStart) {
    const endpoints = proxies.map(({ endpoint }) => endpoint);
    const options: CandidateOptions = {
      coordinator: { ...coordinator, endpoints, instanceId: name },
      election,
      value: `value of ${name}`,
    };
    super(new URL('./candidate.js', import.meta.url), options, onReport);
    this.name = name;
    this.proxies = proxies;
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

  resign(): void {
    this.tell('resign');
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
  }
}
