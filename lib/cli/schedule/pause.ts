import { client } from '../client.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';

export const schedulePause: Command = {
  name: 'schedule pause',
  summary: 'Lets no process start a job until it is resumed',
  usage: 'NAME',
  details: 'From when the command has ended. A run that goes on is let be. A job can be paused before anybody has it.',
  examples: ['holdfast schedule pause nightly-report'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = ''] = args;
    const controls = client(call).jobControls(name);
    const { settledUntil } = await controls.status({ signal });
    await controls.pause({ signal });
    if (settledUntil === undefined) output.note(`holdfast: nobody has led ${name} yet; is that its name?`);
    output.tell(`${name} is paused`, { name, paused: true });
    return EXIT.ok;
  },
};

export const scheduleResume: Command = {
  name: 'schedule resume',
  summary: 'Ends the pause of a job',
  usage: 'NAME',
  details: 'What came due meanwhile is dealt with as the job itself says.',
  examples: ['holdfast schedule resume nightly-report'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, output, signal } = call;
    const [name = ''] = args;
    await client(call).jobControls(name).resume({ signal });
    output.tell(`${name} is not paused`, { name, paused: false });
    return EXIT.ok;
  },
};
