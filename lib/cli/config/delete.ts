import { ConfigInvalidError } from '../../errors.ts';
import { client } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { noEntry } from './get.ts';
import { IF_VERSION } from './set.ts';

export const configDelete: Command = {
  name: 'config delete',
  summary: 'Deletes a config entry',
  usage: 'NAME [--if-version N]',
  details: 'Its history stays, and its versions go on from there. Processes go back to their fallback.',
  options: IF_VERSION,
  examples: ['holdfast config delete limits', 'holdfast config delete limits --if-version 4'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, options, output, signal } = call;
    const [name = ''] = args;
    const config = client(call).config(name);
    await config.ready({ signal });
    /* What cannot be read can be deleted all the same. */
    const isAbsent = (): boolean => {
      try {
        return config.get() === undefined;
      } catch (error) {
        if (error instanceof ConfigInvalidError) return false;
        throw error;
      }
    };
    const ifVersion = options.number('if-version');
    if (isAbsent() && (ifVersion ?? 0) === 0) throw noEntry(name);
    await config.delete({ ifVersion, signal });
    output.tell(`${name} is deleted`, { name, deleted: true });
    return EXIT.ok;
  },
};
