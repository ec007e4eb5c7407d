import type { Command } from './command.ts';
import { graceOf, runUnder, UNDER_DETAILS, UNDER_OPTIONS } from './under.ts';

export const elect: Command = {
  name: 'elect',
  summary: 'Runs a command while this process is the leader',
  usage: 'NAME [--value TEXT] [--again] -- CMD…',
  details: `Waits until it is elected, for as long as --timeout says, or without limit.\n${UNDER_DETAILS}`,
  options: {
    ...UNDER_OPTIONS,
    value: { type: 'text', value: 'TEXT', help: 'what observers see of the leader: an address, say' },
    again: { type: 'flag', help: 'stand again when the leadership is lost, until the command ends by itself' },
  },
  examples: [
    'holdfast elect reporter -- node reporter.js',
    'holdfast elect scheduler --again --value http://10.0.0.7 -- ./scheduler',
  ],
  takes: { least: 1, most: 1 },
  takesCommand: true,
  run: async (call) => {
    const { args, options, signal, timeoutMs } = call;
    const [name = ''] = args;
    const graceMs = graceOf(call);
    const election = call.coordinator().election(name);
    const value = options.text('value');
    for (;;) {
      const waitForRecovery = options.flag('again');
      const leadership = await election.campaign({
        timeoutMs,
        signal,
        waitForRecovery,
        ...(value === undefined ? {} : { value }),
      });
      try {
        const { code, isLost } = await runUnder(leadership, name, graceMs, call);
        if (!isLost || !options.flag('again')) return code;
      } finally {
        await leadership.resign().catch(() => {});
      }
    }
  },
};
