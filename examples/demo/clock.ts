/** The machine's monotonic clock, in nanoseconds: all processes read the same time from it. */
import { setTimeout as sleep } from 'node:timers/promises';

export function inMs(ms: number): bigint {
  return process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
}

/** Resolves when it is that time, and never before: a timer counts whole milliseconds, and can come a part of one early. Rejects when aborted. */
export async function untilTime(time: bigint, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const leftMs = Number(time - process.hrtime.bigint()) / 1e6;
    if (leftMs <= 0) return;
    await sleep(leftMs, undefined, { signal });
  }
}
