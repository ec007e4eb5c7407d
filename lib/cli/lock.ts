import { LockTimeoutError } from '../errors.ts';
import type { Command } from './command.ts';
import { graceOf, runUnder, UNDER_DETAILS, UNDER_OPTIONS } from './under.ts';

export const lock: Command = {
  name: 'lock',
  summary: 'Runs a command under a lock',
  usage: 'NAME [--try] -- CMD…',
  details: `Waits for the lock for as long as --timeout says, or without limit.\n${UNDER_DETAILS}`,
  options: { ...UNDER_OPTIONS, try: { type: 'flag', help: 'do not wait' } },
  examples: [
    'holdfast lock nightly-import -- ./import.sh',
    'holdfast lock deploy --timeout 30s --ttl 10s -- make deploy',
    'holdfast lock report --try -- ./report || [ $? -eq 75 ]   # somebody else is at it: fine',
  ],
  takes: { least: 1, most: 1 },
  takesCommand: true,
  run: async (call) => {
    const { args, options, signal, timeoutMs } = call;
    const [name = ''] = args;
    const graceMs = graceOf(call);
    const lock = call.coordinator().lock(name);
    const held = options.flag('try') ? await lock.tryAcquire({ signal }) : await lock.acquire({ timeoutMs, signal });
    if (held === undefined) throw new LockTimeoutError(`The lock ${JSON.stringify(name)} is held by somebody else.`);
    try {
      const { code } = await runUnder(held, name, graceMs, call);
      return code;
    } finally {
      await held.release().catch(() => {});
    }
  },
};
