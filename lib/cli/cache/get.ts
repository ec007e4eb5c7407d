import { client } from '../client.ts';
import { NothingThereError, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const cacheGet: Command = {
  name: 'cache get',
  summary: 'Prints the newest value of a key',
  usage: 'PREFIX KEY',
  details:
    'Read from etcd, and not from a memory: caches of other processes may be behind it. The value is printed as it is.',
  examples: ['holdfast cache get routes/ eu'],
  takes: { least: 2, most: 2 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [prefix = '', key = ''] = args;
    /* Of all keys under the prefix it asks for this one alone. */
    const cache = client(call).cache(prefix, { keys: 'on-demand' });
    const entry = await cache.read(key, { consistency: 'linearizable', signal });
    if (entry === undefined) {
      throw new NothingThereError(`There is no key ${JSON.stringify(key)} in the cache ${JSON.stringify(prefix)}.`);
    }
    const { value, revision } = entry;
    output.tell(value, { key, value, revision });
    return EXIT.ok;
  },
};
