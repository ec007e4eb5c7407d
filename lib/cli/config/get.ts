import type { Config } from '../../config/config.ts';
import type { Json } from '../../config/schema.ts';
import { ConfigInvalidError, CoordinationUnavailableError } from '../../errors.ts';
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
    const entry = current(config);
    if (entry === undefined) throw noEntry(name);
    const { version, revision, value } = entry;
    output.tell(JSON.stringify(value), { name, version, revision, value });
    return EXIT.ok;
  },
};

/** Of a config that is ready. Throws ConfigInvalidError for what somebody has put there that is no version. */
function current(config: Config<Json, Json>): ReturnType<typeof config.get> {
  try {
    return config.get();
  } catch (error) {
    if (!(error instanceof CoordinationUnavailableError)) throw error;
    throw new ConfigInvalidError(
      `What stands in etcd under config ${JSON.stringify(config.name)} is no version of one: it was not written by holdfast. Set or roll it back.`,
      { cause: error },
    );
  }
}

export function noEntry(name: string): NothingThereError {
  return new NothingThereError(`There is no config ${JSON.stringify(name)}.`);
}
