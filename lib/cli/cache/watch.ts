import { client, untilStopped } from '../client.ts';
import type { Command } from '../command.ts';
import { oneLine } from '../output.ts';

export const cacheWatch: Command = {
  name: 'cache watch',
  summary: 'Prints each change below a prefix until it is stopped',
  usage: 'PREFIX',
  details: [
    'From now on; what is there already is not printed. A line is put or delete, the key, and the value.',
    'Over a gap it prints what led from what it knew to what there is, marked as resynced.',
  ].join('\n'),
  examples: ['holdfast cache watch routes/', 'holdfast cache watch routes/ --json'],
  takes: { least: 1, most: 1 },
  run: (call) =>
    untilStopped(call, async () => {
      const { args, output, signal } = call;
      const [prefix = ''] = args;
      const cache = client(call).cache(prefix);
      await cache.ready({ signal });
      for await (const change of cache.watch({ signal })) {
        const { type, key, resynced } = change;
        const value = change.type === 'put' ? `  ${oneLine(change.value)}` : '';
        output.tell(`${type.padEnd(6)}  ${oneLine(key)}${value}${resynced === true ? '  (resynced)' : ''}`, change);
      }
    }),
};
