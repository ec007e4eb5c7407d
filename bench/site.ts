import { fileURLToPath } from 'node:url';
import { ProvisionError } from '../integration/provision/cache-folder.ts';
import { EtcdServer } from '../integration/servers/etcd-server.ts';
import { PostgresServer } from '../integration/servers/postgres-server.ts';
import { RedisServer } from '../integration/servers/redis-server.ts';
import { PeerProcess } from './peer-process.ts';
import type { Program, ServerKind } from './programs.ts';
import { provideCurator } from './provision/curator.ts';
import { provideGoPeer } from './provision/go-peer.ts';
import { ZooKeeperServer } from './zookeeper-server.ts';

/** PostgreSQL's advisory locks need a connection for each contender. */
const CONNECTIONS = ['-c', 'max_connections=400'];

/** The servers that the programs work on, each started when it is first needed, and what could not be had. */
export class Site implements AsyncDisposable {
  readonly etcd: EtcdServer;
  /** Why a program does not take part, by its name. */
  readonly absent: Map<string, string> = new Map();
  /** In the order in which they were started. */
  readonly #servers: AsyncDisposable[];
  readonly #endpoints = new Map<ServerKind, Promise<string>>();

  private constructor(etcd: EtcdServer) {
    this.etcd = etcd;
    this.#servers = [etcd];
  }

  static async open(): Promise<Site> {
    return new Site(await EtcdServer.start());
  }

  /** Those of them that can be had here. */
  async present(programs: readonly Program[]): Promise<readonly Program[]> {
    const found: Program[] = [];
    for (const program of programs) {
      try {
        await this.#command(program);
        found.push(program);
      } catch (error) {
        if (!(error instanceof ProvisionError)) throw error;
        this.absent.set(program.name, error.message);
      }
    }
    return found;
  }

  async start(program: Program, { ttlMs }: { readonly ttlMs: number }): Promise<PeerProcess> {
    const [command, ...args] = await this.#command(program);
    const endpoint = await this.#endpoint(program.server);
    return new PeerProcess(program.name, command, [...args, endpoint, String(ttlMs), program.kind]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.toReversed()) await server[Symbol.asyncDispose]();
  }

  async #command(program: Program): Promise<[string, ...string[]]> {
    await this.#endpoint(program.server);
    if (program.in === 'go') return [await provideGoPeer()];
    if (program.in === 'java') {
      const { java, classPath } = await provideCurator();
      return [java, '-Xmx256m', '-cp', classPath, 'CuratorPeer'];
    }
    return [process.execPath, fileURLToPath(new URL(`./peers/${program.in.node}`, import.meta.url))];
  }

  #endpoint(server: ServerKind): Promise<string> {
    const known = this.#endpoints.get(server);
    if (known !== undefined) return known;
    const starting = this.#start(server);
    this.#endpoints.set(server, starting);
    return starting;
  }

  async #start(server: ServerKind): Promise<string> {
    switch (server) {
      case 'etcd':
        return this.etcd.endpoint;
      case 'redis':
        return this.#keep(await RedisServer.start()).url;
      case 'postgres':
        return this.#keep(await PostgresServer.start({ extraArgs: CONNECTIONS })).connectionString;
      case 'zookeeper':
        return this.#keep(await ZooKeeperServer.start()).address;
    }
  }

  #keep<T extends AsyncDisposable>(server: T): T {
    this.#servers.push(server);
    return server;
  }
}
