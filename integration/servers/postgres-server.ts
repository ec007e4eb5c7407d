import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { providePostgres, type ProvidedPostgres } from '../provision/postgres.ts';
import { freePorts } from './free-ports.ts';
import { removeAtExit, retryWhileOccupied, ServerProcess, type StopOptions } from './server-process.ts';

const run = promisify(execFile);
const readyWithinMs = 20_000;

/** A real PostgreSQL on loopback, which trusts every local connection. */
export class PostgresServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly user = 'postgres';
  readonly database = 'postgres';
  readonly connectionString: string;
  readonly dataDir: string;

  readonly #provided: ProvidedPostgres;
  readonly #args: readonly string[];
  #process: ServerProcess;

  private constructor(provided: ProvidedPostgres, dataDir: string, port: number, extraArgs: readonly string[]) {
    this.port = port;
    this.connectionString = `postgres://${this.user}@${this.host}:${port}/${this.database}`;
    this.dataDir = dataDir;
    this.#provided = provided;
    this.#args = [
      ...['-D', dataDir, '-h', this.host, '-p', String(port), '-k', ''],
      // A killed process loses nothing without fsync; only a killed machine would.
      ...['-c', 'fsync=off', '-c', 'shared_buffers=32MB', '-c', 'max_connections=50'],
      ...extraArgs,
    ];
    this.#process = this.#spawn();
  }

  static async start({ extraArgs = [] }: { extraArgs?: readonly string[] | undefined } = {}): Promise<PostgresServer> {
    const provided = await providePostgres();
    const dataDir = await initialise(provided);
    return await retryWhileOccupied(async () => {
      const [port] = (await freePorts(1)) as [number];
      const server = new PostgresServer(provided, dataDir, port, extraArgs);
      try {
        await server.#untilReady();
        return server;
      } catch (error) {
        await server.#process.stop({ signal: 'SIGKILL' });
        throw error;
      }
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Stops it at once for all clients (`fast`); data and port stay its own, for {@link restart}. */
  async stop({ signal = 'SIGINT', ...options }: StopOptions = {}): Promise<void> {
    await this.#process.stop({ signal, ...options });
  }

  async restart(options: StopOptions = {}): Promise<void> {
    await this.stop(options);
    await retryWhileOccupied(async () => {
      this.#process = this.#spawn();
      await this.#untilReady();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // `immediate`: the postmaster ends its backends itself, which SIGKILL would leave to find out on their own.
    await this.#process.stop({ signal: 'SIGQUIT' });
    await rm(this.dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #spawn(): ServerProcess {
    return new ServerProcess(this.#provided.postgres, this.#args, { runAs: this.#provided.runAs, cwd: this.dataDir });
  }

  async #untilReady(): Promise<void> {
    await this.#process.untilReady(async () => {
      const client = new Client({ connectionString: this.connectionString, connectionTimeoutMillis: 2_000 });
      client.on('error', () => undefined);
      await client.connect();
      await client.query('SELECT 1');
      await client.end();
      return true;
    }, readyWithinMs);
  }
}

/** Resolves to a new data folder, owned by whoever the server runs as. */
async function initialise({ initdb, runAs }: ProvidedPostgres): Promise<string> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'holdfast-postgres-data-'));
  removeAtExit(dataDir);
  if (runAs !== undefined) await chown(dataDir, runAs.uid, runAs.gid);
  const args = ['-D', dataDir, '-U', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'];
  await run(initdb, args, { ...runAs, cwd: dataDir, timeout: 60_000 });
  return dataDir;
}
