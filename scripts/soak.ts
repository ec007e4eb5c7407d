/**
 * Tortures clients for long, in rounds with a cluster of their own: `--hours N` or `--minutes N` in all, `--round M` minutes each. Besides
 * what the torture judges, it watches what the processes need. What a round wrote down is deleted if nothing was wrong, and kept otherwise.
 * Exits with 1 if anything was violated, if a process grew, or if a round did too little.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { readEvidence } from '../integration/torture/archive.ts';
import { floorsFor, shortfalls } from '../integration/torture/floors.ts';
import { growthOf, judgeGrowth, type Growth } from '../integration/torture/growth.ts';
import { lineOf, linesOf } from '../integration/torture/printout.ts';
import { reportOf } from '../integration/torture/report.ts';
import { torture } from '../integration/torture/torture.ts';

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '8' },
    minutes: { type: 'string' },
    round: { type: 'string', default: '15' },
  },
});

const MINUTE_MS = 60_000;
/** Of a round, some process has to live that long: else growth could not be seen. */
const WATCHED_SHARE = 0.4;

const minutes = values.minutes === undefined ? Number(values.hours) * 60 : Number(values.minutes);
const roundMinutes = Math.min(minutes, Number(values.round));
if (!(minutes > 0) || !(roundMinutes > 0)) {
  throw new RangeError(`Expected --hours, --minutes and --round to be numbers above 0, got ${JSON.stringify(values)}`);
}

const until = performance.now() + minutes * MINUTE_MS;
let rounds = 0;
let failed = 0;
let faults = 0;
/* A last round that would be a stump is left out. */
do {
  rounds += 1;
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`\nRound ${rounds}, seed ${seed}`);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-soak-'));
  if (await isClean(folder, seed)) {
    await rm(folder, { recursive: true, force: true });
  } else {
    failed += 1;
    console.log(`What was written down is in ${folder}`);
  }
} while (performance.now() + (roundMinutes * MINUTE_MS) / 2 < until);

console.log(`\n${rounds} rounds, ${faults} faults, ${failed} rounds failed`);
if (failed > 0) process.exitCode = 1;

async function isClean(folder: string, seed: number): Promise<boolean> {
  try {
    await torture({
      ...{ seed, folder, watchesResources: true },
      progress: (_, elapsedMs) => elapsedMs / (roundMinutes * MINUTE_MS),
      onRound: (round) => console.log(lineOf(round)),
    });
    const evidence = readEvidence(folder);
    const report = reportOf(evidence);
    for (const line of linesOf(report)) console.log(line);
    faults += report.hits.length;
    const growths = evidence.histories.flatMap((history) => growthOf(history) ?? []);
    const grown = growths.flatMap(judgeGrowth);
    for (const line of [...growths.map(lineOfGrowth), ...grown.map((each) => `GROWN ${each}`)]) console.log(line);
    const missing = shortfalls(report, floorsFor(roundMinutes));
    const longest = Math.max(0, ...growths.map(({ lifeMs }) => lifeMs));
    if (longest < roundMinutes * MINUTE_MS * WATCHED_SHARE) missing.push(`the longest life watched was ${longest} ms`);
    for (const line of missing) console.log(`Too little: ${line}`);
    return report.violations.length + grown.length + missing.length === 0;
  } catch (error) {
    /* The next round has a cluster of its own. */
    console.log(error);
    return false;
  }
}

function lineOfGrowth({ client, lifeMs, heapBytes, handles }: Growth): string {
  const [life, heap] = [(lifeMs / 1_000).toFixed(0), (heapBytes / 1e6).toFixed(1)];
  return `${client} lived ${life} s: ${heap} MB more of heap, ${handles} more timers and handles`;
}
