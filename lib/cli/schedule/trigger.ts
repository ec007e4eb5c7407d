import { client } from '../client.ts';
import { NothingThereError, type Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { showInstant } from '../output.ts';

export const scheduleTrigger: Command = {
  name: 'schedule trigger',
  summary: 'Asks the leader of a job to run it now',
  usage: 'NAME',
  details: [
    'Beside its schedule, and after the run that goes on, if one does. A request that waits already serves for both.',
    'It is done when the request is written down; schedule history tells what became of it. A paused job is not triggered.',
  ].join('\n'),
  examples: ['holdfast schedule trigger nightly-report'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = ''] = args;
    const controls = client(call).jobControls(name);
    /* A misspelt name would stand there as a request that nobody ever takes up. */
    const { settledUntil } = await controls.status({ signal });
    if (settledUntil === undefined) {
      throw new NothingThereError(
        `There is no schedule ${JSON.stringify(name)}: nobody has led it yet. Nothing was asked for.`,
      );
    }
    const scheduledFor = await controls.trigger({ signal });
    output.tell(`${name} is to run now, as the tick ${showInstant(scheduledFor)}`, { name, scheduledFor });
    return EXIT.ok;
  },
};
