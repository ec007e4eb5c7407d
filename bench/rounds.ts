/** How the benchmarks measure: contestants in turn, round after round, so that a machine that slows down slows all of them down. */

export interface Contestant {
  readonly name: string;
  /** Does `operations` operations, as many at a time as there are callers. */
  run(operations: number): Promise<void>;
}

export interface Result {
  readonly name: string;
  /** Milliseconds of wall time for one operation, in each round. */
  readonly perOperationMs: readonly number[];
}

/** Runs every contestant once as a warm-up and then once in each round, in an order that shifts from round to round. */
export async function inRounds(
  contestants: readonly Contestant[],
  { rounds, operations }: { readonly rounds: number; readonly operations: number },
): Promise<readonly Result[]> {
  const times = contestants.map((): number[] => []);
  for (let round = -1; round < rounds; round += 1) {
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const index = (turn + round + contestants.length) % contestants.length;
      const contestant = contestants[index] as Contestant;
      const startedAt = performance.now();
      await contestant.run(operations);
      if (round >= 0) times[index]?.push((performance.now() - startedAt) / operations);
    }
  }
  return contestants.map(({ name }, index) => ({ name, perOperationMs: times[index] ?? [] }));
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

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Each round's ratio to the limit of the same round, from the least to the greatest. */
export function ratios(result: Result, limit: Result): { least: number; median: number; greatest: number } {
  const all = result.perOperationMs.map((ms, round) => ms / (limit.perOperationMs[round] ?? Number.NaN));
  return { least: Math.min(...all), median: median(all), greatest: Math.max(...all) };
}
