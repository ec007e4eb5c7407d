/** What client processes need, over time, and the judge of it. */
import type { History, Resources } from './history.ts';

/** What a process says of itself every so often. */
export const SAMPLE_RESOURCES_MS = 2_000;

/** A process needs so long until all that it does has happened once: code is compiled, pools are full. */
const WARM_UP_MS = 20_000;

/** Fewer samples say nothing: of thirds, each has five. */
const FEWEST_SAMPLES = 15;

/**
 * By so much the least of the last third of a life may be above the least of its first: a fault leaves things behind for a while, and a heap is
 * never collected completely. Of lives of nine minutes, as rounds of a quarter of an hour have them, that is 1.7 KB for each of some 20 calls a
 * second; smaller leaks show in longer rounds. A timer or a socket that each fault left behind would show after some dozens of faults.
 */
const HEAP_GROWTH_BYTES = 12 * 1_024 * 1_024;
const HANDLE_GROWTH = 24;

export interface Growth {
  readonly client: string;
  readonly lifeMs: number;
  readonly heapBytes: number;
  readonly handles: number;
}

/** How much more a process needs at the end of its life than at the beginning; absent: it lived too short to say. */
export function growthOf({ client, events }: History): Growth | undefined {
  const samples = events.filter((event) => event.kind === 'resources');
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const warm = samples.filter(({ at }) => at >= first.at + WARM_UP_MS);
  if (warm.length < FEWEST_SAMPLES) return undefined;
  const third = Math.floor(warm.length / 3);
  const grown = (of: (sample: Resources) => number): number =>
    Math.min(...warm.slice(-third).map(of)) - Math.min(...warm.slice(0, third).map(of));
  return {
    client,
    lifeMs: last.at - first.at,
    heapBytes: grown(({ heapBytes }) => heapBytes),
    handles: grown(({ handles }) => handles),
  };
}

export function judgeGrowth({ client, lifeMs, heapBytes, handles }: Growth): string[] {
  const over = `in ${(lifeMs / 1_000).toFixed(0)} s`;
  return [
    ...(heapBytes > HEAP_GROWTH_BYTES
      ? [`${client}: the heap grew by ${(heapBytes / 1e6).toFixed(1)} MB ${over}`]
      : []),
    ...(handles > HANDLE_GROWTH ? [`${client}: there were ${handles} more timers and handles ${over}`] : []),
  ];
}
