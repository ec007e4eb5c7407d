import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { provideRedis, type ProvidedRedis } from '../provision/redis.ts';
import { freePorts } from './free-ports.ts';
import { removeAtExit, retryWhileOccupied, ServerProcess, type StopOptions } from './server-process.ts';

const readyWithinMs = 10_000;

/** A real redis-server on loopback that writes every command to its append-only file, so that a restart forgets nothing. */
export class RedisServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly url: string;
  readonly dataDir: string;

  readonly #provided: ProvidedRedis;
  readonly #args: readonly string[];
  #process: ServerProcess;

  private constructor(provided: ProvidedRedis, dataDir: string, port: number, extraArgs: readonly string[]) {
    this.port = port;
    this.url = `redis://${this.host}:${port}`;
    this.dataDir = dataDir;
    this.#provided = provided;
    this.#args = [
      ...['--port', String(port), '--bind', this.host, '--dir', dataDir],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'no', '--daemonize', 'no'],
      ...extraArgs,
    ];
    this.#process = this.#spawn();
  }

  static async start({ extraArgs = [] }: { extraArgs?: readonly string[] | undefined } = {}): Promise<RedisServer> {
    const provided = await provideRedis();
    return await retryWhileOccupied(async () => {
      const [port] = (await freePorts(1)) as [number];
      const dataDir = await mkdtemp(path.join(os.tmpdir(), 'holdfast-redis-'));
      removeAtExit(dataDir);
      const server = new RedisServer(provided, dataDir, port, extraArgs);
      try {
        await server.#untilReady();
        return server;
      } catch (error) {
        await server[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Stops the process; data and port stay its own, for {@link restart}. */
  async stop(options: StopOptions = {}): Promise<void> {
    await this.#process.stop(options);
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.signal('SIGCONT');
  }

  async restart(options: StopOptions = {}): Promise<void> {
    await this.stop(options);
    await retryWhileOccupied(async () => {
      this.#process = this.#spawn();
      await this.#untilReady();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop({ signal: 'SIGKILL' });
    await rm(this.dataDir, { recursive: true, force: true });
  }

  #spawn(): ServerProcess {
    return new ServerProcess(this.#provided.redisServer, this.#args, { env: this.#provided.env });
  }

  async #untilReady(): Promise<void> {
    await this.#process.untilReady(async () => {
      const socket = connect(this.port, this.host);
      try {
        await once(socket, 'connect');
        socket.write('PING\r\n');
        const [answer] = (await once(socket, 'data')) as [Buffer];
        return answer.toString().startsWith('+PONG');
      } finally {
        socket.destroy();
      }
    }, readyWithinMs);
  }
}
