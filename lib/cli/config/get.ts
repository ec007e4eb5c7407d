import { client } from '../client.ts';
import { NothingThereError, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const configGet: Command = {
  name: 'config get',
  summary: 'Prints the value of a config entry',
  usage: 'NAME',
  details: 'As JSON on one line. With --json also its version and revision.',
  examples: ['holdfast config get limits', 'holdfast config get limits --json | jq .version'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = ''] = args;
    const config = client(call).config(name);
    await config.ready({ signal });
    const entry = config.get();
    if (entry === undefined) throw noEntry(name);
    const { version, revision, value } = entry;
    output.tell(JSON.stringify(value), { name, version, revision, value });
    return EXIT.ok;
  },
};

export function noEntry(name: string): NothingThereError {
  return new NothingThereError(`There is no config ${JSON.stringify(name)}.`);
}
