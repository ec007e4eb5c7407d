import type { Coordinator } from '../coordinator.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-codes.ts';

/** A coordinator each of whose calls ends within --timeout: for commands that ask or tell something, and wait for nobody's turn. */
export function client({ coordinator, timeoutMs }: Call): Coordinator {
  return coordinator({ deadlineMs: timeoutMs });
}

/** Does what goes on until somebody stops it. To be stopped is its proper end. */
export async function untilStopped({ signal }: Call, act: () => Promise<void>): Promise<number> {
  try {
    await act();
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
  return EXIT.ok;
}
