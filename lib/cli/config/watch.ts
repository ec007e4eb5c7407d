import { client, untilStopped } from '../client.ts';
import type { Command } from '../command.ts';

export const configWatch: Command = {
  name: 'config watch',
  summary: 'Prints a config entry, and each newer version, until it is stopped',
  usage: 'NAME',
  details: [
    'A line is the version and the value. Versions that were passed over, since more came than could be printed, show as resynced.',
    'It goes on while etcd is away, and by then says nothing new. It shows in config rollout, as any reader does.',
  ].join('\n'),
  examples: ['holdfast config watch limits', 'holdfast config watch limits --json | while read -r entry; do …; done'],
  takes: { least: 1, most: 1 },
  run: (call) =>
    untilStopped(call, async () => {
      const { args, output, signal } = call;
      const [name = ''] = args;
      const config = client(call).config(name);
      await config.ready({ signal });
      for await (const entry of config.watch({ signal })) {
        if (entry === undefined) {
          output.tell('there is none', { name, absent: true });
          continue;
        }
        const { version, revision, value, resynced } = entry;
        output.tell(`${version}  ${JSON.stringify(value)}${resynced === true ? '  (resynced)' : ''}`, {
          name,
          version,
          revision,
          value,
          resynced,
        });
      }
    }),
};
