import type { CoordinatorOptions } from '../../lib/index.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import type { Stall } from '../election/stalls.ts';
import { ScriptProcess } from '../servers/script-process.ts';

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
  | { readonly kind: 'ended'; readonly id: string; readonly at: number }
  | ({ readonly kind: 'stall' } & Stall);

/** What was got in one turn has one token: tokens are of one order for each partition alone. */
export function idOf({ partition, token }: { readonly partition: number; readonly token: bigint }): string {
  return `${partition} ${token}`;
}

/** An owner with a process and a network of its own, so that each can be hit alone. */
export class OwnerProcess extends ScriptProcess<Report> {
  readonly instanceId: string;
  readonly proxy: FaultProxy;

  private constructor(
    proxy: FaultProxy,
    instanceId: string,
    { coordinator, ...options }: OwnerOptions,
    onReport: (report: Report) => void,
  ) {
    const own = { ...coordinator, endpoints: proxy.endpoint, instanceId };
    super(new URL('./owner.js', import.meta.url), { ...options, coordinator: own }, onReport);
    this.proxy = proxy;
    this.instanceId = instanceId;
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

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.proxy.stop();
  }
}
