import { client } from './client.ts';
import { wholeNumber } from './command-line.ts';
import type { Command } from './command.ts';
import { EXIT } from './exit-codes.ts';

export const epochGet: Command = {
  name: 'epoch get',
  summary: 'Prints the epoch of the namespace, the highest bits of every fencing token',
  usage: '',
  examples: ['holdfast epoch get --namespace billing'],
  takes: { least: 0, most: 0 },
  run: async (call) => {
    const epoch = await client(call).epoch({ signal: call.signal });
    call.output.tell(String(epoch), { epoch });
    return EXIT.ok;
  },
};

export const epochSet: Command = {
  name: 'epoch set',
  summary: 'Raises the epoch, after a restore that took etcd back',
  usage: 'N [--force]',
  details: [
    'From 0 to 255. After a restore without --bump-revision, before the clients come back, above every one that was ever used; see docs/restore.md.',
    'Keep a note of it outside etcd: what is restored may know an older one.',
  ].join('\n'),
  options: {
    force: { type: 'flag', help: 'also lower it: guards will refuse new tokens if they have seen the greater epoch' },
  },
  examples: ['holdfast epoch set 1 --namespace billing'],
  takes: { least: 1, most: 1 },
  run: async (call) => {
    const { args, options, output, signal } = call;
    const epoch = wholeNumber('N', args[0] ?? '');
    await client(call).setEpoch(epoch, { force: options.flag('force'), signal });
    output.tell(
      `the epoch is ${epoch}. Keep a note of it outside etcd, and raise it for each namespace before the clients come back.`,
      { epoch },
    );
    return EXIT.ok;
  },
};
