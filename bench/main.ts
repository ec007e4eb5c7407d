/**
 * `npm run bench [-- --quick]`: what a thing costs, as a ratio to a limit that was measured in the same run, beside what is aimed at.
 * Absolute times say more about the machine and the hour than about the code. `--quick` shows that it works, not how fast.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { EtcdServer } from '../integration/servers/etcd-server.ts';
import { elections } from './elections.ts';
import { fanOut } from './fan-out.ts';
import { isMet, tableOf, type Finding } from './findings.ts';
import { freshness } from './freshness.ts';
import { lockCycle } from './lock-cycle.ts';
import { memory } from './memory.ts';
import { onDemand } from './on-demand.ts';
import { reads } from './reads.ts';
import { retryStorm } from './retry-storm.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const { quick } = values;
const rounds = quick ? 2 : 7;

await using etcd = await EtcdServer.start();
const { endpoint } = etcd;
console.log(
  `etcd ${etcd.binaries.version}, Node ${process.versions.node}, ${os.availableParallelism()} cores; median (least–greatest) of ` +
    `${rounds} interleaved rounds.\n`,
);

/* Memory first: what the others leave behind would be in its way. */
const findings: readonly Finding[] = [
  ...(await memory(etcd, { rounds: quick ? 1 : 5 })),
  ...(await onDemand(etcd, { rounds: quick ? 1 : 3, watchedMs: quick ? 5_000 : 20_000 })),
  ...(await reads({ endpoint, rounds, turns: quick ? 20 : 100 })),
  ...(await fanOut(etcd, { rounds, writes: quick ? 50 : 300 })),
  ...(await freshness(etcd, { intervals: quick ? 5 : 20, rounds, proofs: quick ? 10 : 100 })),
  ...(await elections(etcd, { rounds: quick ? 1 : 5, waitMs: quick ? 2_000 : 10_000 })),
  ...(await lockCycle({ endpoint, rounds, callers: 1, operations: quick ? 50 : 400 })),
  ...(await lockCycle({ endpoint, rounds, callers: 64, operations: quick ? 200 : 1_600 })),
  ...(await retryStorm({ seconds: quick ? 10 : 20 })),
];
console.log(tableOf(findings));

const missed = findings.filter((finding) => isMet(finding) === false);
console.log(`\n${missed.length} of ${findings.filter(({ target }) => target !== undefined).length} targets not met.`);
