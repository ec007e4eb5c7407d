import type { Json } from '../../config/schema.ts';
import { client } from '../client.ts';
import { UsageError, type Command, type OptionSpecs } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const IF_VERSION: OptionSpecs = {
  'if-version': { type: 'number', value: 'N', help: 'only if it is at this version; 0: only if there is none' },
};

export const configSet: Command = {
  name: 'config set',
  summary: 'Writes a new version of a config entry',
  usage: 'NAME JSON [--if-version N]',
  details: [
    'JSON is one argument, or - for the standard input.',
    'Without --if-version the last writer wins. Only the processes know their schemas: config rollout tells which have refused it.',
  ].join('\n'),
  options: IF_VERSION,
  examples: [
    `holdfast config set limits '{"perMinute":100}'`,
    `holdfast config set greeting '"hello"'        # a text has its quotes`,
    'holdfast config set limits - --if-version 3 < limits.json',
  ],
  takes: { least: 2, most: 2 },
  run: async (call) => {
    const { args, options, output, signal, input } = call;
    const [name = '', given = ''] = args;
    const value = parse(name, given === '-' ? await input() : given);
    const { version, revision } = await client(call)
      .config(name)
      .set(value, { ifVersion: options.number('if-version'), signal });
    output.tell(`${name} is at version ${version}`, { name, version, revision });
    return EXIT.ok;
  },
};

/** The parser's own message has a part of the value, which belongs into no log. */
function parse(name: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new UsageError(
      `Expected JSON for config ${JSON.stringify(name)}, got ${text.length} characters that are none. A text has its quotes: '"on"'.`,
    );
  }
}
