/** How the benchmarks measure: contestants in turn, round after round, so that a machine that slows down slows all of them down. */
import type { Spread } from './findings.ts';

export interface Contestant {
  readonly name: string;
  /** Does `operations` operations, as many at a time as there are callers. */
  run(operations: number): Promise<void> | void;
}

/** Milliseconds of wall time for one operation, for each contestant by its name, in one round. */
export type Round = ReadonlyMap<string, number>;

/** Runs every contestant once as a warm-up and then once in each round, in an order that shifts from round to round. */
export async function inRounds(
  contestants: readonly Contestant[],
  { rounds, operations }: { readonly rounds: number; readonly operations: number },
): Promise<readonly Round[]> {
  const results: Round[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const times = new Map<string, number>();
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const contestant = contestants[(turn + round + contestants.length) % contestants.length] as Contestant;
      const startedAt = performance.now();
      await contestant.run(operations);
      times.set(contestant.name, (performance.now() - startedAt) / operations);
    }
    if (round >= 0) results.push(times);
  }
  return results;
}

/** Does `operations` times `act`, by so many callers at once; each caller is told its number. */
export async function byCallers(
  callers: number,
  operations: number,
  act: (caller: number) => Promise<void>,
): Promise<void> {
  const each = Math.max(1, Math.round(operations / callers));
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let done = 0; done < each; done += 1) await act(caller);
    }),
  );
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
