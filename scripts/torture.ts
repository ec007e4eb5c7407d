/**
 * Tortures clients on a real cluster: `--minutes N` for so long, `--matrix` until every fault has hit often enough for CI; `--seed S`
 * decides the order of the faults, `--keep DIR` keeps the histories. Exits with 1 if anything was violated, or if it did too little.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { removeAtExit } from '../integration/servers/server-process.ts';
import { linesOf, shortfalls, type Demand } from '../integration/torture/printout.ts';
import { torture } from '../integration/torture/torture.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    matrix: { type: 'boolean', default: false },
    seed: { type: 'string' },
    keep: { type: 'string' },
  },
});

const MINUTE_MS = 60_000;
const MATRIX: Demand = { faults: 180, cells: 40, operations: 100 };
/** The matrix gives up after that, and fails for what is missing. */
const MATRIX_MS = 9.5 * MINUTE_MS;
const FAULTS_A_MINUTE = 8;

const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`Expected --minutes to be a number above 0, got ${values.minutes}`);
const demand = values.matrix
  ? MATRIX
  : { faults: Math.floor(minutes * FAULTS_A_MINUTE), cells: 0, operations: Math.floor(minutes * 10) };
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);

const folder = values.keep ?? (await mkdtemp(path.join(os.tmpdir(), 'holdfast-torture-')));
if (values.keep === undefined) removeAtExit(folder);
else await mkdir(folder, { recursive: true });

console.log(`seed ${seed}, histories in ${folder}`);
const report = await torture({
  seed,
  folder,
  isEnough: (hits, elapsedMs) =>
    values.matrix ? hits >= demand.faults || elapsedMs > MATRIX_MS : elapsedMs > minutes * MINUTE_MS,
  onRound: ({ hits, recovered }) => {
    const faults = hits.map(
      ({ fault, client = '', hit }) => `${fault} ${client}${hit ? '' : ' (found nothing to hit)'}`,
    );
    console.log(`${faults.map((fault) => fault.trim()).join(', ')}; all got on after ${slowest(recovered)} ms`);
  },
});
for (const line of linesOf(report)) console.log(line);

const missing = shortfalls(report, demand);
for (const line of missing) console.log(`Too little: ${line}`);
if (report.violations.length > 0 || missing.length > 0) process.exitCode = 1;
if (values.keep === undefined) await rm(folder, { recursive: true, force: true });

function slowest(recovered: Readonly<Record<string, number>>): string {
  return Math.max(...Object.values(recovered)).toFixed(0);
}
