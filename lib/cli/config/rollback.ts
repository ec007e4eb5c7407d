import { client } from '../client.ts';
import { wholeNumber } from '../command-line.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const configRollback: Command = {
  name: 'config rollback',
  summary: 'Sets the value of an earlier version as a new one',
  usage: 'NAME VERSION',
  details: 'Whoever wrote last wins. It brings back a deleted entry, too.',
  examples: ['holdfast config rollback limits 3'],
  takes: { least: 2, most: 2 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = '', given = ''] = args;
    const of = wholeNumber('VERSION', given);
    const { version, revision } = await client(call).config(name).rollback(of, { signal });
    output.tell(`${name} is at version ${version}, with the value of version ${of}`, { name, version, revision, of });
    return EXIT.ok;
  },
};
