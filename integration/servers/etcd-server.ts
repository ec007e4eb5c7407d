import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { provideEtcd, type EtcdVersion, type ProvidedEtcd } from '../provision/etcd.ts';
import { certificates, etcdctlFlags, lockUp, NAMESPACE, serverFlags, type Certificates } from './access.ts';
import { freePorts } from './free-ports.ts';
import { type PeerRoute } from './peer-network.ts';
import { killAtExit, removeAtExit, retryWhileOccupied, ServerProcess, type StopOptions } from './server-process.ts';

const run = promisify(execFile);

/** How long a member may take to say how it is, to tell its metrics, and to become healthy, on a busy machine. */
const healthTimeoutMs = 2_000;
const metricsTimeoutMs = 10_000;
const healthyWithinMs = 20_000;
const insistMs = 200;

export interface EtcdTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** With it, clients must present a certificate that this authority signed. etcdctl presents the server's own. */
  readonly clientCaFile?: string | undefined;
}

export interface EtcdServerOptions {
  /** Default: whatever etcd the machine has. */
  readonly version?: EtcdVersion | undefined;
  /** A folder to keep; the default is a temporary one that is removed with the server. */
  readonly dataDir?: string | undefined;
  /** Further command line flags, such as `['--quota-backend-bytes', '2097152']`. */
  readonly extraArgs?: readonly string[] | undefined;
  /** Serves clients over TLS. Health and metrics stay on a plain port of their own. */
  readonly tls?: EtcdTls | undefined;
  /** `plain`: no TLS and no users, whatever this run of the tests is for. The default is that, which `access.ts` explains. */
  readonly access?: 'plain' | undefined;
  /** Whose users there are, where access is restricted. @default ['test'] */
  readonly namespaces?: readonly string[] | undefined;
}

export interface EtcdctlOptions {
  /** Default: the operator, who may do anything. */
  readonly user?: string | undefined;
  /** Default: this member. */
  readonly endpoints?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** @default 10000 */
  readonly timeoutMs?: number | undefined;
}

export interface InsistOptions {
  readonly done?: RegExp | undefined;
  /** @default 30000 */
  readonly withinMs?: number | undefined;
}

/** What a member needs to know to be part of a cluster. */
export interface EtcdMembership {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly metricsPort: number;
  /** As `--initial-cluster` takes it. */
  readonly initialCluster: string;
  /** Whether it comes to a cluster that has been told of it. @default false: it is one of the first */
  readonly joins?: boolean | undefined;
  /** Default: straight to their peer ports. */
  readonly route?: PeerRoute | undefined;
}

/** One real etcd member on loopback. */
export class EtcdServer implements AsyncDisposable {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly metricsPort: number;
  /** What clients connect to. */
  readonly endpoint: string;
  readonly dataDir: string;
  /** What it tells its peers to reach it by. */
  readonly peerUrl: string;
  /** Who etcdctl says it is, such as `root:secret`, once the cluster asks. */
  operator: string | undefined;

  readonly #certificates: Certificates | undefined;
  #binaries: ProvidedEtcd;
  #clusterState: 'new' | 'existing';
  readonly #args: readonly string[];
  readonly #etcdctlFlags: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #keepDataDir: boolean;
  #process: ServerProcess;
  #paused = false;

  private constructor(
    binaries: ProvidedEtcd,
    dataDir: string,
    { name, clientPort, peerPort, metricsPort, initialCluster, joins = false, route }: EtcdMembership,
    { tls, access, extraArgs = [], dataDir: keptDataDir }: EtcdServerOptions,
  ) {
    this.#certificates = tls === undefined && access !== 'plain' ? certificates : undefined;
    this.#binaries = binaries;
    this.dataDir = dataDir;
    this.name = name;
    this.clientPort = clientPort;
    this.peerPort = peerPort;
    this.metricsPort = metricsPort;
    this.endpoint = `${(tls ?? this.#certificates) === undefined ? 'http' : 'https'}://127.0.0.1:${clientPort}`;
    this.#keepDataDir = keptDataDir !== undefined;
    const listenUrl = `http://127.0.0.1:${peerPort}`;
    this.peerUrl = route?.advertisedUrl ?? listenUrl;
    this.#env = route?.env ?? {};
    this.#clusterState = joins ? 'existing' : 'new';
    this.#args = [
      ...['--name', name, '--data-dir', dataDir],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', listenUrl, '--initial-advertise-peer-urls', this.peerUrl],
      ...['--listen-metrics-urls', `http://127.0.0.1:${metricsPort}`],
      ...['--initial-cluster', initialCluster],
      ...['--logger', 'zap', '--log-level', 'warn', '--log-outputs', 'stderr'],
      ...(tls === undefined ? [] : ['--cert-file', tls.certFile, '--key-file', tls.keyFile]),
      ...(tls?.clientCaFile === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.clientCaFile]),
      ...(this.#certificates === undefined ? [] : serverFlags(this.#certificates)),
      ...extraArgs,
    ];
    this.#etcdctlFlags = this.#certificates === undefined ? ownFlags(tls) : etcdctlFlags(this.#certificates);
    this.#process = this.#spawn();
  }

  /** Starts a cluster of one and resolves when it is healthy. */
  static async start(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    return await retryWhileOccupied(async () => {
      const [clientPort, peerPort, metricsPort] = (await freePorts(3)) as [number, number, number];
      const initialCluster = `default=http://127.0.0.1:${peerPort}`;
      const membership = { name: 'default', clientPort, peerPort, metricsPort, initialCluster };
      const server = await EtcdServer.launch(membership, options);
      try {
        await server.untilHealthy();
        if (server.isRestricted) await lockUp(server, options.namespaces ?? [NAMESPACE]);
        return server;
      } catch (error) {
        await server[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  /** Starts one member without waiting: it becomes healthy when a majority of its cluster runs. */
  static async launch(membership: EtcdMembership, options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const binaries = await provideEtcd({ version: options.version });
    const dataDir = options.dataDir ?? (await mkdtemp(path.join(os.tmpdir(), 'holdfast-etcd-')));
    if (options.dataDir === undefined) removeAtExit(dataDir);
    return new EtcdServer(binaries, dataDir, membership, options);
  }

  /** Whether it is for clients with what `accessTo` gives. */
  get isRestricted(): boolean {
    return this.#certificates !== undefined;
  }

  get binaries(): ProvidedEtcd {
    return this.#binaries;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** The last lines of its log. */
  get output(): string {
    return this.#process.output;
  }

  /** Stops the process; data and ports stay its own, for {@link restart}. */
  async stop(options: StopOptions = {}): Promise<void> {
    await this.#process.stop(options);
    this.#paused = false;
  }

  /** SIGSTOP: connections stay open, requests are taken by the kernel, and nothing answers. */
  pause(): void {
    this.#process.pause();
    this.#paused = true;
  }

  /** SIGCONT: whatever was sent in the meantime is now read. */
  resume(): void {
    this.#process.signal('SIGCONT');
    this.#paused = false;
  }

  /** Stops it if it runs, and starts it again with the same data and ports. Resolves when it is healthy. */
  async restart(options: StopOptions = {}): Promise<void> {
    await this.stop(options);
    await retryWhileOccupied(async () => {
      this.#process = this.#spawn();
      await this.untilHealthy();
    });
  }

  /** Starts it again as another version, with the same data. */
  async upgrade(version: EtcdVersion): Promise<void> {
    this.#binaries = await provideEtcd({ version });
    await this.restart();
  }

  /** Kills it, and starts it without data, as a member that its cluster has just been told of. */
  async rejoin(): Promise<void> {
    await this.stop({ signal: 'SIGKILL' });
    await rm(this.dataDir, { recursive: true, force: true });
    this.#clusterState = 'existing';
    await this.restart();
  }

  /** Resolves when the member has a leader and can commit. */
  async untilHealthy(withinMs: number = healthyWithinMs): Promise<void> {
    await this.#process.untilReady(async () => {
      const response = await fetch(`http://127.0.0.1:${this.metricsPort}/health`, {
        signal: AbortSignal.timeout(healthTimeoutMs),
      });
      const { health } = (await response.json()) as { readonly health?: string };
      return health === 'true';
    }, withinMs);
  }

  /** Every sample of `/metrics`, by its name with its labels as etcd writes them. */
  async metrics(): Promise<Map<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`, {
      signal: AbortSignal.timeout(metricsTimeoutMs),
    });
    return parseMetrics(await response.text());
  }

  /** How many RPCs of each method, such as `Range`, `Txn` or `LeaseKeepAlive`, were begun since the process started. */
  async startedRpcs(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const [sample, value] of await this.metrics()) {
      const method = /^grpc_server_started_total\{.*grpc_method="([^"]+)"/.exec(sample)?.[1];
      if (method !== undefined) counts.set(method, (counts.get(method) ?? 0) + value);
    }
    return counts;
  }

  /** Runs etcdctl to its end and resolves to what it printed. */
  async etcdctl(args: readonly string[], options: EtcdctlOptions = {}): Promise<string> {
    const { stdout } = await run(this.#binaries.etcdctl, this.#etcdctlArgs(args, options), {
      env: etcdctlEnvironment(options),
      timeout: options.timeoutMs ?? 10_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  /**
   * What an operator does where etcd may just have lost its leader: runs etcdctl again until it succeeds, or says by `done` that an earlier
   * attempt, whose answer was lost, did. Resolves to what it printed then.
   */
  async insist(args: readonly string[], { done, withinMs = 30_000 }: InsistOptions = {}): Promise<string> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      try {
        return await this.etcdctl(args);
      } catch (error) {
        if (done?.test(String(error)) === true) return '';
        if (performance.now() > deadline) throw error;
        await sleep(insistMs);
      }
    }
  }

  /** Starts an etcdctl that goes on, such as `lock` or `watch`. It is killed with this process, if not before. */
  spawnEtcdctl(args: readonly string[], options: EtcdctlOptions = {}): ChildProcessByStdio<null, Readable, Readable> {
    const child = spawn(this.#binaries.etcdctl, this.#etcdctlArgs(args, options), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: etcdctlEnvironment(options),
    });
    killAtExit(child);
    return child;
  }

  /** Ends the process and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop({ signal: 'SIGKILL' });
    if (!this.#keepDataDir) await rm(this.dataDir, { recursive: true, force: true });
  }

  #spawn(): ServerProcess {
    const args = [...this.#args, '--initial-cluster-state', this.#clusterState];
    return new ServerProcess(this.#binaries.etcd, args, { env: this.#env });
  }

  #etcdctlArgs(
    args: readonly string[],
    { endpoints = [this.endpoint], user = this.operator }: EtcdctlOptions,
  ): string[] {
    return [
      '--endpoints',
      endpoints.join(','),
      ...this.#etcdctlFlags,
      ...(user === undefined ? [] : ['--user', user]),
      ...args,
    ];
  }
}

function ownFlags(tls: EtcdTls | undefined): readonly string[] {
  if (tls?.clientCaFile === undefined) return [];
  return ['--cacert', tls.clientCaFile, '--cert', tls.certFile, '--key', tls.keyFile];
}

function etcdctlEnvironment({ env = {} }: EtcdctlOptions): NodeJS.ProcessEnv {
  return { ...process.env, ETCDCTL_API: '3', ...env };
}

/** Reads Prometheus' text format as far as etcd uses it. */
export function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const end = line.lastIndexOf(' ');
    if (end > 0 && !line.startsWith('#')) samples.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return samples;
}
