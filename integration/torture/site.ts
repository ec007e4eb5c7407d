import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { Keyspace } from '../../lib/session/keyspace.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { machineMs } from '../election/machine-clock.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import type { ClientProcess } from './client-process.ts';
import { StoreLog } from './store-log.ts';

export const NAMESPACE = 'torture';

const CALL = { timeoutMs: 2_000 };
const LEADER_WITHIN_MS = 30_000;

/**
 * What may shorten a lease that its owner believes in, by the documents: an operator; a leader of etcd that is cut off and answers renewals
 * until it notices; one that was stopped, when it goes on. `at`: when it began.
 */
export interface Disturbance {
  readonly why: 'a revoked lease' | 'a deposed leader' | 'a woken leader';
  /** Absent: any. */
  readonly lease?: bigint;
  readonly at: number;
}

/** The real etcd of a run: three members, and the run's own way to it. */
export class Site implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  /** Goes straight to it. */
  readonly store: Store;
  readonly log: StoreLog;
  readonly disturbances: Disturbance[] = [];
  readonly #keyspace = new Keyspace(NAMESPACE);

  private constructor(cluster: EtcdCluster, store: Store, log: StoreLog) {
    this.cluster = cluster;
    this.store = store;
    this.log = log;
  }

  static async start(): Promise<Site> {
    const cluster = await EtcdCluster.start({ version: '3.5.30', partitionable: true });
    const store = createEtcdStore(systemRuntime(), { endpoints: cluster.endpoints });
    return new Site(cluster, store, await StoreLog.start(store, `${NAMESPACE}/`));
  }

  /** The member that leads. */
  leader(): Promise<EtcdServer> {
    return this.cluster.leader({ withinMs: LEADER_WITHIN_MS });
  }

  note(disturbance: Omit<Disturbance, 'at'>): void {
    this.disturbances.push({ ...disturbance, at: machineMs() });
  }

  /** Takes away all history that the log has. Resolves to whether there was any. */
  async compact(): Promise<boolean> {
    const { revision } = this.log;
    const member = await this.leader();
    const text = await member.etcdctl(['compact', String(revision)]).catch((error: unknown) => String(error));
    return text.includes('compacted revision');
  }

  /** The session that a client has now, as etcd knows it. */
  async leaseOf({ name }: ClientProcess): Promise<bigint | undefined> {
    const { entries } = await this.store.range({ prefix: this.#keyspace.sessions }, CALL);
    const newest = entries.toSorted((a, b) => Number(b.createRevision - a.createRevision));
    return newest.find(({ value }) => value.includes(`"${name}.`))?.lease;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.store.close();
    await this.cluster[Symbol.asyncDispose]();
  }
}
