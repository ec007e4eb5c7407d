/** A network on which writes travel for a while. What has left a program no longer asks whether its sender still holds a lock. */
import type { Accounts, Applied } from './accounts.ts';
import { inMs, untilTime } from './clock.ts';

export interface Slowness {
  /** How long a write is on its way, in milliseconds. */
  readonly delayMs: number;
  /** Called when a write sets out, with the time before which it does not arrive: whoever stops its sender by then has stopped it too. */
  readonly onWrite: (applied: Applied, notBefore: bigint) => void;
}

export function overSlowNetwork(accounts: Accounts, { delayMs, onWrite }: Slowness): Accounts {
  return {
    read: (touched) => accounts.read(touched),
    write: async (applied) => {
      const arrival = inMs(delayMs);
      onWrite(applied, arrival);
      await untilTime(arrival);
      return accounts.write(applied);
    },
    close: () => accounts.close(),
  };
}
