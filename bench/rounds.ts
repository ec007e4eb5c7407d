/** How the benchmarks measure: contestants in turn, round after round, so that a machine that slows down slows all of them down. */
import { setImmediate as breath } from 'node:timers/promises';
import type { Spread } from './findings.ts';

export interface Contestant {
  readonly name: string;
  /** Does `operations` operations, as many at a time as there are callers. */
  readonly run: (operations: number) => Promise<void> | void;
}

/** Milliseconds of wall time for one operation, for each contestant by its name, in one round. */
export type Round = ReadonlyMap<string, number>;

export interface RoundOptions {
  readonly rounds: number;
  /** What each contestant does when it has its turn. */
  readonly operations: number;
  /**
   * How many turns everybody has in each round. The quickest one counts: what only computes, and for less than a scheduler's slice, is slowed
   * down by others and never sped up.
   * @default 1
   */
  readonly turns?: number;
}

/** Runs every contestant, round after round, in an order that shifts from turn to turn. The first round is a warm-up and does not count. */
export async function inRounds(
  contestants: readonly Contestant[],
  { rounds, operations, turns = 1 }: RoundOptions,
): Promise<readonly Round[]> {
  const results: Round[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const times = new Map<string, number>();
    for (let turn = 0; turn < turns; turn += 1) {
      for (let place = 0; place < contestants.length; place += 1) {
        const next = (place + turn + round + contestants.length) % contestants.length;
        const { name, run } = contestants[next] as Contestant;
        /* What waits for the event loop, such as a renewal, has it now and not on somebody's account. */
        await breath();
        const startedAt = performance.now();
        await run(operations);
        const time = (performance.now() - startedAt) / operations;
        times.set(name, Math.min(time, times.get(name) ?? Number.POSITIVE_INFINITY));
      }
    }
    if (round >= 0) results.push(times);
  }
  return results;
}

/** A number of each round, from the least to the greatest. Ratios are made within a round and never across. */
export function spreadOf<T>(rounds: readonly T[], value: (round: T) => number): Spread {
  const sorted = rounds.map(value).toSorted((a, b) => a - b);
  return {
    least: sorted[0] ?? Number.NaN,
    median: quantile(sorted, 0.5),
    greatest: sorted.at(-1) ?? Number.NaN,
  };
}

/** Of numbers that are sorted already. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** How long one operation of a contestant took in a round. */
export function timeOf(round: Round, name: string): number {
  const time = round.get(name);
  if (time === undefined) throw new Error(`Expected a contestant named ${name}`);
  return time;
}
