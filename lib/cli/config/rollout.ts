import { client } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { oneLine } from '../output.ts';

export const configRollout: Command = {
  name: 'config rollout',
  summary: 'Prints which instance has applied, or refused, which version of a config entry',
  usage: 'NAME',
  details: 'Of the instances that follow it now; about a second late. Nothing is printed where there are none.',
  examples: ['holdfast config rollout limits', 'holdfast config rollout limits --json | jq -r .instanceId'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = ''] = args;
    const reports = await client(call).config(name).rollout({ signal });
    if (output.isJson) {
      for (const { instanceId, applied, refused } of reports) output.json({ name, instanceId, applied, refused });
    } else if (reports.length > 0) {
      output.table(
        ['INSTANCE', 'APPLIED', 'REFUSED', 'WHY'],
        reports.map(({ instanceId, applied, refused }) => [
          oneLine(instanceId),
          String(applied ?? '-'),
          refused === undefined ? '-' : String(refused.version ?? '?'),
          oneLine(refused?.reason ?? '-'),
        ]),
      );
    }
    return EXIT.ok;
  },
};
