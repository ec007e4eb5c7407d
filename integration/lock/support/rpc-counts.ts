import { type EtcdServer } from '../../servers/etcd-server.ts';
import { until } from './until.ts';

/** What etcd has counted between two moments, by method; watches by their requests, since all of them share one stream. */
export class RpcCounts {
  readonly #server: EtcdServer;
  readonly #before: Map<string, number>;

  private constructor(server: EtcdServer, before: Map<string, number>) {
    this.#server = server;
    this.#before = before;
  }

  static async start(server: EtcdServer): Promise<RpcCounts> {
    return new RpcCounts(server, await samples(server));
  }

  /** By method, those that are not zero. `WatchRequests` and `Renewals` are messages on streams. */
  async sinceStart(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [name, value] of await samples(this.#server)) {
      const more = value - (this.#before.get(name) ?? 0);
      if (more !== 0) counts[name] = more;
    }
    return counts;
  }

  /** Resolves once `name` has been counted so often. */
  async until(name: string, atLeast: number): Promise<void> {
    await until(`${atLeast} × ${name}`, async () => ((await this.sinceStart())[name] ?? 0) >= atLeast);
  }
}

/** Of how many streams the server has begun and not ended, by method. */
export async function openStreams(server: EtcdServer): Promise<Map<string, number>> {
  const open = new Map<string, number>();
  for (const [sample, value] of await server.metrics()) {
    const [, event, method] = /^grpc_server_(started|handled)_total\{.*grpc_method="([^"]+)"/.exec(sample) ?? [];
    if (method === undefined) continue;
    open.set(method, (open.get(method) ?? 0) + (event === 'started' ? value : -value));
  }
  return open;
}

async function samples(server: EtcdServer): Promise<Map<string, number>> {
  const metrics = await server.metrics();
  const counts = new Map<string, number>();
  const add = (name: string, value: number): void => void counts.set(name, (counts.get(name) ?? 0) + value);
  for (const [sample, value] of metrics) {
    const method = /grpc_method="([^"]+)"/.exec(sample)?.[1];
    if (sample.startsWith('grpc_server_started_total{') && method !== undefined) add(method, value);
    if (sample.startsWith('grpc_server_msg_received_total{')) {
      if (method === 'Watch') add('WatchRequests', value);
      if (method === 'LeaseKeepAlive') add('Renewals', value);
    }
    if (sample === 'etcd_debugging_lease_granted_total') add('leases', value);
  }
  return counts;
}
