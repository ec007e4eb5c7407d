/**
 * Runs the simulation: `--seeds N` runs seeds 1 to N (`--from M`: from M on) and names those that fail (`--stop`: the first of
 * them, and ends); `--seed N` replays one and
 * prints what happened in it. Exits with 1 if anything was violated.
 */
import { parseArgs } from 'node:util';
import { simulate } from '../lib/simulation/simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    stop: { type: 'boolean', default: false },
  },
});

if (values.seed === undefined) await runMany(Number(values.from), Number(values.seeds));
else await replay(Number(values.seed));

async function replay(seed: number): Promise<void> {
  const { lines, hash, violations } = await simulate(seed);
  for (const line of lines) console.log(line);
  console.log(`seed ${seed}: ${violations.length} violations, hash ${hash}`);
  if (violations.length > 0) process.exitCode = 1;
}

async function runMany(from: number, count: number): Promise<void> {
  const totals = new Map<string, number>();
  const failed = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const { violations, counts } = await simulate(seed);
    for (const [name, count] of counts) totals.set(name, (totals.get(name) ?? 0) + count);
    if (violations.length === 0) continue;
    failed.push(seed);
    console.log(`seed ${seed}\n  ${violations.join('\n  ')}`);
    if (values.stop) break;
  }
  for (const [name, count] of [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(count).padStart(8)}  ${name}`);
  console.log(`${count} seeds, ${failed.length} failed${failed.length === 0 ? '' : `: ${failed.join(' ')}`}`);
  if (failed.length > 0) process.exitCode = 1;
}
