/**
 * Tortures clients on a real cluster: `--minutes N` for so long, `--matrix` until every fault has hit often enough for CI. With `--auth` etcd
 * asks who is there, and its tokens expire under the clients. `--seed S` decides the order of the faults, `--keep DIR` keeps what was written
 * down, also where nothing was wrong, and `--check DIR` judges it again. `--canary` does it to clients of which it is known what is wrong
 * with them, to see whether it is found. Exits with 1 if anything was violated, or if it did too little.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { readEvidence } from '../integration/torture/archive.ts';
import { canary, linesOfCanary, weaknesses } from '../integration/torture/canary.ts';
import { floorsFor, isEnough, MATRIX, shortfalls, withAuthentication } from '../integration/torture/floors.ts';
import { lineOf, linesOf } from '../integration/torture/printout.ts';
import { reportOf } from '../integration/torture/report.ts';
import { torture } from '../integration/torture/torture.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    canary: { type: 'boolean', default: false },
    auth: { type: 'boolean', default: false },
    matrix: { type: 'boolean', default: false },
    seed: { type: 'string' },
    keep: { type: 'string' },
    check: { type: 'string' },
  },
});

const MINUTE_MS = 60_000;
/** A little more than what the matrix must have done; it goes on where chance has left something out. */
const MATRIX_FAULTS = 180;
const ALMOST = 0.99;
/** It gives up after that, and fails for what is missing. */
const MATRIX_MS = 10 * MINUTE_MS;
const CANARY_MS = 60_000;

const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`Expected --minutes to be a number above 0, got ${values.minutes}`);
const plain = values.matrix ? MATRIX : floorsFor(minutes);
const floors = values.auth ? withAuthentication(plain) : plain;
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);

const folder = values.check ?? values.keep ?? (await mkdtemp(path.join(os.tmpdir(), 'holdfast-torture-')));
if (values.check === undefined) {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Error(`Expected --keep to name an empty folder, got ${folder}`);
  /* Said at once: a run that breaks off leaves it, too. */
  console.log(`seed ${seed}, written down in ${folder}`);
}
if (values.canary) {
  const report = await canary({ seed, folder, lastsMs: CANARY_MS });
  for (const line of linesOfCanary(report)) console.log(line);
  const weak = weaknesses(report);
  for (const line of weak) console.log(`Too weak: ${line}`);
  if (values.keep === undefined) await rm(folder, { recursive: true, force: true });
  process.exit(weak.length > 0 ? 1 : 0);
}
if (values.check === undefined) {
  const startedAt = performance.now();
  await torture({
    seed,
    folder,
    auth: values.auth,
    progress: (done, elapsedMs) => {
      if (!values.matrix) return elapsedMs / (minutes * MINUTE_MS);
      const share = done.hits.length / MATRIX_FAULTS;
      return Math.max(isEnough(done, floors) ? share : Math.min(share, ALMOST), elapsedMs / MATRIX_MS);
    },
    onRound: (round) => console.log(lineOf(round)),
  });
  console.log(`seed ${seed}, ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
}

const report = reportOf(readEvidence(folder));
for (const line of linesOf(report)) console.log(line);
const missing = values.check === undefined ? shortfalls(report, floors) : [];
for (const line of missing) console.log(`Too little: ${line}`);
if (report.violations.length > 0 || missing.length > 0) {
  process.exitCode = 1;
  console.log(`What was written down is in ${folder}`);
} else if (values.check === undefined && values.keep === undefined) {
  await rm(folder, { recursive: true, force: true });
}
