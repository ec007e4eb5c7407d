/**
 * Tortures clients on a real cluster: `--minutes N` for so long, `--matrix` until every fault has hit often enough for CI. `--seed S` decides
 * the order of the faults, `--keep DIR` keeps what was written down, also where nothing was wrong, and `--check DIR` judges it again.
 * Exits with 1 if anything was violated, or if it did too little.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { readEvidence } from '../integration/torture/archive.ts';
import { workloads } from '../integration/torture/history.ts';
import type { Round } from '../integration/torture/nemesis.ts';
import { linesOf, reportOf, shortfalls, type Demand } from '../integration/torture/printout.ts';
import { torture } from '../integration/torture/torture.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    matrix: { type: 'boolean', default: false },
    seed: { type: 'string' },
    keep: { type: 'string' },
    check: { type: 'string' },
  },
});

const MINUTE_MS = 60_000;
/** What the matrix must have done; it goes on to a little more. */
const MATRIX: Demand = { faults: 150, hitsOfEach: 2, cells: 40, operations: 30 };
const MATRIX_FAULTS = 180;
/** It gives up after that, and fails for what is missing. */
const MATRIX_MS = 9.5 * MINUTE_MS;
const FAULTS_A_MINUTE = 8;

const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`Expected --minutes to be a number above 0, got ${values.minutes}`);
const demand = values.matrix
  ? MATRIX
  : { faults: Math.floor(minutes * FAULTS_A_MINUTE), hitsOfEach: 0, cells: 0, operations: Math.floor(minutes * 10) };
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);

const folder = values.check ?? values.keep ?? (await mkdtemp(path.join(os.tmpdir(), 'holdfast-torture-')));
if (values.check === undefined) {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Error(`Expected --keep to name an empty folder, got ${folder}`);
  console.log(`seed ${seed}`);
  const startedAt = performance.now();
  await torture({
    seed,
    folder,
    isEnough: (hits, elapsedMs) =>
      values.matrix ? hits >= MATRIX_FAULTS || elapsedMs > MATRIX_MS : elapsedMs > minutes * MINUTE_MS,
    onRound: (round) => console.log(lineOf(round)),
  });
  console.log(`seed ${seed}, ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
}

const report = reportOf(readEvidence(folder));
for (const line of linesOf(report)) console.log(line);
const missing = values.check === undefined ? shortfalls(report, demand) : [];
for (const line of missing) console.log(`Too little: ${line}`);
if (report.violations.length > 0 || missing.length > 0) {
  process.exitCode = 1;
  console.log(`What was written down is in ${folder}`);
} else if (values.check === undefined && values.keep === undefined) {
  await rm(folder, { recursive: true, force: true });
}

function lineOf({ hits, recovered }: Round): string {
  const faults = hits.map(({ fault, client, hit }) =>
    [fault, client ?? '', hit ? '' : '(found nothing to hit)'].filter((part) => part !== '').join(' '),
  );
  const late = workloads.filter((workload) => recovered[workload] === undefined);
  const tookMs = Math.max(0, ...Object.values(recovered)).toFixed(0);
  return `${faults.join(', ')}; ${late.length === 0 ? `all got on after ${tookMs} ms` : `${late.join(', ')} did not get on`}`;
}
