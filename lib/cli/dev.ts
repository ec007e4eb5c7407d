import { onAbort } from '../runtime/abort.ts';
import { startEmbeddedEtcd, type EmbeddedEtcd } from '../testing/embedded/embedded-etcd.ts';
import { UsageError, type Command } from './command.ts';
import { EXIT } from './exit-codes.ts';

export const dev: Command = {
  name: 'dev',
  summary: 'Runs an etcd in memory for development until it is stopped',
  usage: '[--port N]',
  details: [
    'On loopback, of one member, without TLS and users. Nothing in it outlives it.',
    'Every etcd client works against it, etcdctl among them; docs/testing.md has what it leaves out.',
  ].join('\n'),
  options: { port: { type: 'number', value: 'N', help: 'the port of 127.0.0.1 (a free one)' } },
  examples: ['holdfast dev --port 2379', 'HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node service.js'],
  takes: { least: 0, most: 0 },
  run: async ({ options, output, signal }) => {
    await using etcd = await start(options.number('port'));
    const { endpoint } = etcd;
    output.tell(`${endpoint}  etcd in memory: nothing in it outlives this process`, { endpoint });
    await new Promise<void>((resolve) => {
      onAbort(signal, () => resolve());
    });
    return EXIT.ok;
  },
};

async function start(port: number | undefined): Promise<EmbeddedEtcd> {
  try {
    return await startEmbeddedEtcd({ port, keepsProcessAlive: true });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new UsageError(`Expected --port to be one that can be listened on: ${(error as Error).message}`);
  }
}
