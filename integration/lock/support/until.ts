import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** @default 30000 */
  readonly withinMs?: number | undefined;
  /** @default 20 */
  readonly everyMs?: number | undefined;
}

/** Asks again and again until `probe` gives something truthy, and gives that. Throws with `what` when the time is up. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { withinMs = 30_000, everyMs = 20 }: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`Expected ${what} within ${withinMs} ms.`);
    await sleep(everyMs);
  }
}
