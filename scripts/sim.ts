/**
 * Runs the simulation: `--seeds N` runs seeds 1 to N on all processors (`--from M`: from M on, `--fresh`: from one that is drawn anew) and
 * names those that fail (`--stop`: the first of them, and ends); `--seed N` replays one and prints what happened in it. Exits with 1 if
 * anything was violated, and if a run of many seeds did too little for that to mean something.
 */
import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { simulate } from '../lib/simulation/simulation.ts';
import { shortfalls } from './sim-floors.ts';

/** What became of one seed, as it travels between processes. */
interface Report {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Fresh seeds begin somewhere below this, far above those of the tests. */
const FRESH_BELOW = 2 ** 31;

/** The argument of a process that does seeds for another. */
const WORKER = '--worker';

if (process.argv.includes(WORKER)) work();
else await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      fresh: { type: 'boolean', default: false },
      stop: { type: 'boolean', default: false },
    },
  });
  if (values.seed !== undefined) {
    await replay(Number(values.seed));
    return;
  }
  const from = values.fresh ? randomInt(1_000_000, FRESH_BELOW) : Number(values.from);
  const count = Number(values.seeds);
  if (values.fresh) console.log(`fresh seeds: repeat with --from ${from} --seeds ${count}`);
  await runMany(from, count, values.stop);
}

async function replay(seed: number): Promise<void> {
  const { lines, hash, violations } = await simulate(seed);
  for (const line of lines) console.log(line);
  console.log(`seed ${seed}: ${violations.length} violations, hash ${hash}`);
  if (violations.length > 0) process.exitCode = 1;
}

async function runMany(from: number, count: number, stopsAtFirst: boolean): Promise<void> {
  const totals = new Map<string, number>();
  const failed: number[] = [];
  let virtualMs = 0;
  let done = 0;
  await onAllProcessors(from, count, (report) => {
    done += 1;
    virtualMs += report.virtualMs;
    for (const [name, number] of report.counts) totals.set(name, (totals.get(name) ?? 0) + number);
    if (report.violations.length === 0) return true;
    failed.push(report.seed);
    console.log(`seed ${report.seed}\n  ${report.violations.join('\n  ')}`);
    return !stopsAtFirst;
  });
  for (const [name, number] of [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(number).padStart(8)}  ${name}`);
  const virtualHours = virtualMs / 3_600_000;
  const missing = stopsAtFirst && failed.length > 0 ? [] : shortfalls(totals, virtualHours, done);
  for (const shortfall of missing) console.log(`too little: ${shortfall}`);
  console.log(
    `${done} seeds, ${virtualHours.toFixed(1)} virtual hours, ${failed.length} failed` +
      (failed.length === 0 ? '' : `: ${failed.toSorted((a, b) => a - b).join(' ')}`),
  );
  if (failed.length > 0 || missing.length > 0) process.exitCode = 1;
}

/** Gives each worker the next seed when it has done the last one. `take` says whether to go on. */
async function onAllProcessors(from: number, count: number, take: (report: Report) => boolean): Promise<void> {
  let next = from;
  let goesOn = true;
  const workers = Math.min(os.availableParallelism(), count);
  const running = Array.from({ length: workers }, async () => {
    const worker = fork(fileURLToPath(import.meta.url), [WORKER], { serialization: 'advanced' });
    try {
      while (goesOn && next < from + count) {
        const seed = next;
        next += 1;
        const report = await new Promise<Report>((resolve, reject) => {
          worker.once('message', (message) => resolve(message as Report));
          worker.once('exit', () => reject(new Error(`The process that did seed ${seed} has ended`)));
          worker.send(seed);
        });
        worker.removeAllListeners('exit');
        if (!take(report)) goesOn = false;
      }
    } finally {
      worker.disconnect();
    }
  });
  await Promise.all(running);
}

function work(): void {
  process.on('message', (seed: number) => {
    void simulate(seed).then(({ violations, virtualMs, counts }) => {
      process.send?.({ seed, violations, virtualMs, counts } satisfies Report);
    });
  });
}
