/**
 * Runs the simulation: `--seeds N` runs seeds 1 to N (`--from M`: from M on; `--fresh`: from a seed that chance picks, and which is printed)
 * on all processors (`--workers W`: on so many), and names those that fail (`--stop`: the first of them, and ends); `--seed N` replays
 * one and prints what happened in it. Exits with 1 if anything was violated, and if too little happened; see lib/simulation/floors.ts.
 */
import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { expectWholeNumber } from '../lib/arguments.ts';
import { shortfalls, shortOf } from '../lib/simulation/floors.ts';
import { simulate } from '../lib/simulation/simulation.ts';

/** What a worker says of a seed. */
interface Finding {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
}

const MAX_SEED = 0xffff_ffff;

/** The argument of a process that runs seeds for another. */
const WORKER = '--worker';

if (process.argv.includes(WORKER)) serve();
else await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      fresh: { type: 'boolean', default: false },
      stop: { type: 'boolean', default: false },
      workers: { type: 'string', default: String(os.availableParallelism()) },
    },
  });
  if (values.seed !== undefined) return replay(expectWholeNumber('--seed', Number(values.seed), 0, MAX_SEED));
  const count = expectWholeNumber('--seeds', Number(values.seeds), 1, MAX_SEED);
  const from = values.fresh ? randomInt(MAX_SEED - count) : Number(values.from);
  expectWholeNumber('--from', from, 0, MAX_SEED - count + 1);
  if (values.fresh) console.log(`seeds from ${from} on: repeat them with --from ${from} --seeds ${count}`);
  await runMany(from, count, {
    stop: values.stop,
    workers: expectWholeNumber('--workers', Number(values.workers), 1, 64),
  });
}

async function replay(seed: number): Promise<void> {
  const { lines, hash, violations } = await simulate(seed);
  for (const line of lines) console.log(line);
  console.log(`seed ${seed}: ${violations.length} violations, hash ${hash}`);
  if (violations.length > 0) process.exitCode = 1;
}

async function runMany(
  from: number,
  count: number,
  { stop, workers }: { readonly stop: boolean; readonly workers: number },
): Promise<void> {
  const startedAtMs = performance.now();
  const totals = new Map<string, number>();
  const failed: number[] = [];
  let next = from;
  let run = 0;
  const take = (): number | undefined => {
    if (next === from + count || (stop && failed.length > 0)) return undefined;
    next += 1;
    return next - 1;
  };
  const hear = ({ seed, violations, counts }: Finding): void => {
    run += 1;
    for (const [name, some] of counts) totals.set(name, (totals.get(name) ?? 0) + some);
    if (violations.length === 0) return;
    failed.push(seed);
    console.log(`seed ${seed}\n  ${violations.join('\n  ')}`);
  };
  await Promise.all(Array.from({ length: Math.min(workers, count) }, () => work(take, hear)));

  for (const [name, some] of [...totals].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(Math.round(some)).padStart(8)}  ${name}`);
  const tookS = Math.round((performance.now() - startedAtMs) / 1_000);
  const hours = ((totals.get('virtual seconds') ?? 0) / 3_600).toFixed(1);
  console.log(`${run} seeds in ${tookS} s, ${hours} virtual hours, with ${workers} workers`);
  console.log(`${failed.length} failed${failed.length === 0 ? '' : `: ${failed.toSorted((a, b) => a - b).join(' ')}`}`);
  const short = run < count ? [] : shortfalls(totals, count);
  for (const each of short) console.log(`too little happened: ${shortOf(each)}`);
  if (failed.length > 0 || short.length > 0) process.exitCode = 1;
}

/** One worker, seed after seed. */
async function work(take: () => number | undefined, hear: (finding: Finding) => void): Promise<void> {
  const worker = fork(fileURLToPath(import.meta.url), [WORKER], { serialization: 'advanced' });
  try {
    for (let seed = take(); seed !== undefined; seed = take()) {
      const finding = await new Promise<Finding>((resolve, reject) => {
        worker.once('message', (message) => resolve(message as Finding));
        worker.once('exit', () => reject(new Error(`The process that ran seed ${seed} has ended`)));
        worker.send(seed);
      });
      worker.removeAllListeners('exit');
      hear(finding);
    }
  } finally {
    if (worker.connected) worker.disconnect();
  }
}

/** In a worker: runs the seeds that it is told. What goes wrong in the simulation itself is a finding, too. */
function serve(): void {
  process.on('message', (seed: number) => {
    void run(seed).then((finding) => process.send?.(finding));
  });
}

async function run(seed: number): Promise<Finding> {
  try {
    const { violations, counts } = await simulate(seed);
    return { seed, violations, counts };
  } catch (error) {
    const what = error instanceof Error ? error.stack : String(error);
    return { seed, violations: [`the simulation runs to its end: ${what}`], counts: new Map() };
  }
}
