/**
 * `npm run bench -- [--quick] [--only PART,…] [--processes N]`: what a thing costs, as a ratio to a limit or to a peer that was measured in the same run,
 * beside what is aimed at. Absolute times say more about the machine and the hour than about the code; they stand in tables of their own.
 * `--quick` shows that all of it works, not how fast. A peer that cannot be had is named, and the run goes on.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { capacity } from './capacity.ts';
import { contention, QUICK_SHAPES, SHAPES } from './contention.ts';
import { cycle } from './cycle.ts';
import { elections } from './elections.ts';
import { fanOut } from './fan-out.ts';
import { isMet, sheetOf, tableOf, type Finding, type Results, type Sheet } from './findings.ts';
import { freshness } from './freshness.ts';
import { herd } from './herd.ts';
import { idle } from './idle.ts';
import { linger } from './linger.ts';
import { memory } from './memory.ts';
import { onDemand } from './on-demand.ts';
import { LOCKS } from './programs.ts';
import { reads } from './reads.ts';
import { retryStorm } from './retry-storm.ts';
import { Site } from './site.ts';
import { startUp } from './start-up.ts';
import { failover, handOver } from './succession.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    /** Of the herd. Ten thousand take some ten minutes, and 3 GB. */
    processes: { type: 'string' },
  },
});
const { quick, only } = values;
const processes = Number(values.processes ?? (quick ? 200 : 1_000));
const rounds = quick ? 2 : 7;
/* What has a process for each contestant takes longer. */
const fewer = quick ? 1 : 5;

await using site = await Site.open();
const { etcd } = site;
const { endpoint } = etcd;

type Part = () => Promise<Results>;

const findingsOf = async (findings: Promise<readonly Finding[]>): Promise<Results> => ({ findings: await findings });

/* Memory first: what the others leave behind would be in its way. */
const parts: ReadonlyMap<string, Part> = new Map<string, Part>([
  ['memory', () => findingsOf(memory(etcd, { rounds: quick ? 1 : 5 }))],
  ['on-demand', () => findingsOf(onDemand(etcd, { rounds: quick ? 1 : 3, watchedMs: quick ? 5_000 : 20_000 }))],
  ['reads', () => findingsOf(reads({ endpoint, rounds, turns: quick ? 20 : 100 }))],
  ['fan-out', () => findingsOf(fanOut(etcd, { rounds, writes: quick ? 50 : 300 }))],
  ['freshness', () => findingsOf(freshness(etcd, { intervals: quick ? 5 : 20, rounds, proofs: quick ? 10 : 100 }))],
  ['elections', () => findingsOf(elections(etcd, { rounds: fewer, waitMs: quick ? 2_000 : 10_000 }))],
  ['linger', () => findingsOf(linger(etcd, { rounds: fewer, cycles: quick ? 1_000 : 40_000 }))],
  ['cycle', () => cycle(site, { rounds: fewer, loads: quick ? [1, 64] : [1, 16, 64], turnMs: quick ? 200 : 1_000 })],
  [
    'contention',
    () =>
      contention(site, {
        rounds: fewer,
        warmMs: quick ? 100 : 400,
        countedMs: quick ? 300 : 1_200,
        shapes: quick ? QUICK_SHAPES : SHAPES,
      }),
  ],
  ['hand-over', () => handOver(site, { rounds: fewer, handOvers: quick ? 3 : 20 })],
  ['failover', () => failover(site, { rounds: fewer, ttlMs: quick ? 2_000 : 5_000 })],
  [
    'capacity',
    () =>
      capacity(etcd, { processes: quick ? 5 : 25, settleMs: quick ? 500 : 15_000, watchedMs: quick ? 1_000 : 20_000 }),
  ],
  ['idle', () => idle(site, { rounds: quick ? 1 : 3, locks: quick ? 50 : 1_000, watchedMs: quick ? 1_000 : 10_000 })],
  [
    'herd',
    () => herd({ processes, callsPerSecond: quick ? [2 * processes] : [Number.POSITIVE_INFINITY, 2 * processes] }),
  ],
  ['retry-storm', () => findingsOf(retryStorm({ seconds: quick ? 10 : 20 }))],
  ['start-up', () => startUp({ rounds: quick ? 1 : 9 })],
]);

const chosen = only === '' ? [...parts.keys()] : only.split(',');
const unknown = chosen.find((name) => !parts.has(name));
if (unknown !== undefined) {
  throw new RangeError(`Expected --only to name some of ${[...parts.keys()].join(', ')}, got ${unknown}`);
}

console.log(
  `etcd ${etcd.binaries.version}, Node ${process.versions.node}, ${os.availableParallelism()} cores; median (least–greatest) of ` +
    'interleaved rounds; a ratio is made within a round.\n',
);

const findings: Finding[] = [];
const sheets: Sheet[] = [];
for (const name of chosen) {
  const startedAt = performance.now();
  try {
    const results = await parts.get(name)?.();
    findings.push(...(results?.findings ?? []));
    sheets.push(...(results?.sheets ?? []));
    console.error(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
  } catch (error) {
    /* What the other parts have measured is worth as much. */
    console.error(`${name} failed:`, error);
    process.exitCode = 1;
  }
}
console.log(tableOf(findings));
for (const sheet of sheets) console.log(`\n${sheetOf(sheet)}`);
if (sheets.length > 0) console.log(`\n${sheetOf(guarantees())}`);
for (const [program, why] of site.absent) console.log(`\nNot available: ${program}. ${why}`);

const missed = findings.filter((finding) => isMet(finding) === false);
console.log(`\n${missed.length} of ${findings.filter(({ target }) => target !== undefined).length} targets not met.`);

/** What each of them gives for its time. */
function guarantees(): Sheet {
  return {
    title: 'What each of them guarantees',
    head: ['', 'fencing token', 'a holder that was paused past its lease', 'a holder that is killed', 'who waits'],
    rows: LOCKS.map(({ name, guarantees }) => [
      name,
      guarantees.fencing,
      guarantees.afterPause,
      guarantees.afterKill,
      guarantees.waiting,
    ]),
  };
}
