import { client } from '../client.ts';
import { NothingThereError, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { oneLine } from '../output.ts';

export const configHistory: Command = {
  name: 'config history',
  summary: 'Prints the versions of a config entry, the newest first',
  usage: 'NAME [--limit N]',
  details: 'History keeps the newest 100, also of an entry that is deleted.',
  options: { limit: { type: 'number', value: 'N', help: 'at most so many, 1 to 100 (20)' } },
  examples: ['holdfast config history limits --limit 5'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, options, output, signal } = call;
    const [name = ''] = args;
    const versions = await client(call)
      .config(name)
      .history({ limit: options.number('limit'), signal });
    if (versions.length === 0) throw new NothingThereError(`There never was a config ${JSON.stringify(name)}.`);
    if (output.isJson) {
      for (const { version, value, by, revision } of versions) output.json({ name, version, revision, by, value });
    } else {
      output.table(
        ['VERSION', 'BY', 'VALUE'],
        versions.map(({ version, by, value }) => [String(version), oneLine(by), JSON.stringify(value)]),
      );
    }
    return EXIT.ok;
  },
};
