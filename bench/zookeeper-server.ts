import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePorts } from '../integration/servers/free-ports.ts';
import { removeAtExit, retryWhileOccupied, ServerProcess } from '../integration/servers/server-process.ts';
import { provideCurator } from './provision/curator.ts';

const readyWithinMs = 30_000;

/** A real ZooKeeper of one member on loopback, which writes its log to the disk as etcd does. */
export class ZooKeeperServer implements AsyncDisposable {
  readonly address: string;
  readonly #dataDir: string;
  readonly #process: ServerProcess;

  private constructor(address: string, dataDir: string, process: ServerProcess) {
    this.address = address;
    this.#dataDir = dataDir;
    this.#process = process;
  }

  static async start(): Promise<ZooKeeperServer> {
    const { java, classPath } = await provideCurator();
    return await retryWhileOccupied(async () => {
      const [port] = (await freePorts(1)) as [number];
      const dataDir = await mkdtemp(path.join(os.tmpdir(), 'holdfast-zookeeper-'));
      removeAtExit(dataDir);
      const config = path.join(dataDir, 'zoo.cfg');
      await writeFile(
        config,
        [
          ...[`dataDir=${dataDir}`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1', 'tickTime=500'],
          ...['maxClientCnxns=0', 'admin.enableServer=false', '4lw.commands.whitelist=ruok', ''],
        ].join('\n'),
      );
      const main = 'org.apache.zookeeper.server.ZooKeeperServerMain';
      const server = new ZooKeeperServer(
        `127.0.0.1:${port}`,
        dataDir,
        new ServerProcess(java, ['-Xmx256m', '-cp', classPath, main, config]),
      );
      try {
        await server.#process.untilReady(() => saysImOk(port), readyWithinMs);
        return server;
      } catch (error) {
        await server[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop({ signal: 'SIGKILL' });
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

async function saysImOk(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('ruok');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString().startsWith('imok');
  } finally {
    socket.destroy();
  }
}
