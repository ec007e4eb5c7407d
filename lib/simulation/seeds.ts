import type { ExecutionContext } from 'ava';
import { simulate, type SimulationResult } from './simulation.ts';

/** Runs seeds and fails, with what to type to see it again, for each in which anything was violated. */
export async function checkSeeds(t: ExecutionContext, seeds: readonly number[]): Promise<readonly SimulationResult[]> {
  const results: SimulationResult[] = [];
  for (const seed of seeds) {
    const result = await simulate(seed);
    results.push(result);
    t.deepEqual(result.violations, [], `npm run sim -- --seed ${seed}`);
  }
  return results;
}

/** `count` seeds from `from` on. */
export function seedsFrom(from: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}
