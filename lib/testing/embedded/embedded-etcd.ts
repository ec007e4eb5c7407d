import { expectDuration, expectOptions, expectText, expectWholeNumber } from '../../arguments.ts';
import { backgroundClock, systemClock } from '../../runtime/clock.ts';
import { safeLogger, silentLogger, type Logger } from '../../runtime/logger.ts';
import { systemRuntime } from '../../runtime/runtime.ts';
import { MemoryCluster } from '../../store/memory/memory-cluster.ts';
import { Refusal } from '../../store/memory/refusal.ts';
import { GrpcServer } from './grpc-server.ts';
import { keyValueService } from './key-value-service.ts';
import { leaseService } from './lease-service.ts';
import { authService, clusterService, maintenanceService } from './member-services.ts';
import { Member } from './member.ts';
import { watchService } from './watch-service.ts';

/** What etcd it says it is, and where. */
export interface EmbeddedEtcdOptions {
  /** The port of 127.0.0.1 to listen on. @default a free one */
  readonly port?: number | undefined;
  /** The version it says it is. Below 3.5 a watch from the revision of a compaction misses its deletes, as there. @default '3.5.30' */
  readonly version?: string | undefined;
  /**
   * How often a watch that asked for progress notifications gets one while nothing happens, in milliseconds: etcd's
   * `--experimental-watch-progress-notify-interval`. @default 600000
   */
  readonly progressNotifyMs?: number | undefined;
  /** Whether the process stays alive for it. @default false, so that a test that forgets `stop()` ends all the same */
  readonly keepsProcessAlive?: boolean | undefined;
  /** Is told of every call, at the level of debug. @default none */
  readonly logger?: Logger | undefined;
}

const OPTIONS = ['port', 'version', 'progressNotifyMs', 'keepsProcessAlive', 'logger'] as const;

/**
 * Starts an etcd of one member inside this process, in memory, that speaks etcd's v3 API over gRPC on loopback: for tests of one's own
 * code that need no installation. etcdctl and every client of etcd work against it. Its answers, revisions, watches, leases and errors
 * are those of a real etcd; the same model is what holdfast's own protocols are simulated on.
 *
 * It is no etcd: nothing is kept on disk, there is one member, no TLS, no users and roles, no HTTP/JSON gateway, and no metrics.
 * docs/testing.md has the whole list. Faults of the network come from {@link FaultProxy}.
 *
 * ```ts
 * await using etcd = await startEmbeddedEtcd();
 * const coordinator = createCoordinator({ endpoints: etcd.endpoint });
 * ```
 *
 * Rejects with a RangeError or TypeError for a wrong option, and with the system's error if the port is taken.
 */
export async function startEmbeddedEtcd(options: EmbeddedEtcdOptions = {}): Promise<EmbeddedEtcd> {
  expectOptions('startEmbeddedEtcd', options, OPTIONS);
  const port = expectWholeNumber('port', options.port ?? 0, 0, 65_535);
  const version = expectText('version', options.version ?? '3.5.30');
  const progressNotifyMs = expectDuration('progressNotifyMs', options.progressNotifyMs ?? 600_000, 1);
  const keepsProcessAlive = options.keepsProcessAlive ?? false;
  const logger = safeLogger(options.logger ?? silentLogger);

  const clock = keepsProcessAlive ? systemClock : backgroundClock;
  const runtime = { ...systemRuntime(logger), clock };
  const losesDeletesAtCompaction = /^3\.[0-4]\./.test(version);
  const cluster = new MemoryCluster(runtime, { version, losesDeletesAtCompaction, keepsLog: false });
  const member = new Member(cluster, version, () => `http://127.0.0.1:${server.port}`);
  const server = await GrpcServer.listen(
    logger,
    {
      KV: keyValueService(cluster, member),
      Watch: watchService(clock, cluster, member, { progressNotifyMs }),
      Lease: leaseService(runtime.random, cluster, member),
      Cluster: clusterService(member),
      Maintenance: maintenanceService(cluster, member),
      Auth: authService(member),
    },
    { port, keepsProcessAlive },
  );
  return new EmbeddedEtcd(cluster, server);
}

/** A running etcd of {@link startEmbeddedEtcd}, with an operator's hands for tests. */
export class EmbeddedEtcd implements AsyncDisposable {
  /** What clients connect to, such as `http://127.0.0.1:40123`. */
  readonly endpoint: string;
  readonly #cluster: MemoryCluster;
  readonly #server: GrpcServer;
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(cluster: MemoryCluster, server: GrpcServer) {
    this.endpoint = `http://127.0.0.1:${server.port}`;
    this.#cluster = cluster;
    this.#server = server;
  }

  /** The revision of the store; `1n` at the start. */
  get revision(): bigint {
    return this.#cluster.revision;
  }

  /** The IDs of the leases there are. */
  get leases(): readonly bigint[] {
    return this.#cluster.leases;
  }

  /**
   * Forgets all history before a revision, by default before the newest: watches that are further behind are cancelled. Throws a
   * RangeError if there is no such revision any more, or not yet.
   */
  compact(revision: bigint = this.revision): void {
    refusable(() => this.#cluster.compact(revision));
  }

  /** Takes a lease away with all its keys, as at its end. Throws a RangeError if there is no such lease. */
  revokeLease(lease: bigint): void {
    refusable(() => this.#cluster.revoke(lease));
  }

  /** Raises the alarm NOSPACE: what needs space is refused from now on, the rest goes on. */
  exceedQuota(): void {
    this.#cluster.exceedQuota();
  }

  /** Disarms that alarm, as `etcdctl alarm disarm` does. */
  disarmQuota(): void {
    this.#cluster.disarmQuota();
  }

  /** Breaks every connection, stops listening, and forgets everything. Idempotent. */
  stop(): Promise<void> {
    // Its leases end last, since watches would hear of it.
    this.#stopped ??= this.#server.stop().finally(() => this.#cluster.stop());
    return this.#stopped;
  }

  /** Stops, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function refusable(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) throw new RangeError(error.message, { cause: error });
    throw error;
  }
}
