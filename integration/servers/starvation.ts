import { readFileSync, readdirSync } from 'node:fs';

/** For how long each thread of some processes has waited for a processor so far, in milliseconds. */
export type Waits = ReadonlyMap<string, number>;

/** As Linux counts it in `schedstat`; empty elsewhere. */
export function waitsOf(pids: readonly number[]): Waits {
  const waits = new Map<string, number>();
  for (const pid of pids) {
    const tasks = `/proc/${pid}/task`;
    try {
      for (const thread of readdirSync(tasks)) {
        const [, waitedNs = '0'] = readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ');
        waits.set(`${pid}/${thread}`, Number(waitedNs) / 1e6);
      }
    } catch {
      /* It has ended meanwhile. */
    }
  }
  return waits;
}

/** How long the most starved thread waited in between: for so long at least, all that depends on it stood still. */
export function longestWaitMs(before: Waits, after: Waits): number {
  return Math.max(0, ...[...after].map(([thread, ms]) => ms - (before.get(thread) ?? 0)));
}
