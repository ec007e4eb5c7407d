/** A network on which writes travel for a while. What has left a program no longer asks whether its sender still holds a lock. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Accounts, Applied } from './accounts.ts';

export interface Slowness {
  /** How long a write is on its way, in milliseconds. */
  readonly delayMs: number;
  /** Called when a write sets out. The demo then knows a moment to stop its sender in, between read and write. */
  readonly onWrite: (applied: Applied) => void;
}

export function overSlowNetwork(accounts: Accounts, { delayMs, onWrite }: Slowness): Accounts {
  return {
    read: (touched) => accounts.read(touched),
    write: async (applied) => {
      onWrite(applied);
      await sleep(delayMs);
      return accounts.write(applied);
    },
    close: () => accounts.close(),
  };
}
