/**
 * Asks the embedded etcd and a real one of each version the same, at random, and compares what they say: `--operations N` requests of each
 * version (what stands inside transactions is counted beside them), `--seed S` the ones that another run made, `--fresh` ones that nobody
 * has made yet. Exits with 1 if anything differed that is not known to, or if it compared too little.
 */
import { parseArgs } from 'node:util';
import { compare } from '../integration/differential/differential.ts';
import { etcdVersions } from '../integration/provision/etcd.ts';

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '50000' },
    seed: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
  },
});

const operations = Number(values.operations);
if (!Number.isInteger(operations) || operations < 1) {
  throw new RangeError(`Expected --operations to be a whole number above 0, got ${values.operations}`);
}
const seed = values.fresh ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
console.log(`${operations} requests of each version, seed ${seed}`);

const startedAt = performance.now();
await Promise.all(
  etcdVersions.map(async (version) => {
    const { tally, divergence } = await compare(version, seed, operations);
    const tookS = ((performance.now() - startedAt) / 1_000).toFixed(0);
    console.log(`etcd ${version}: ${tally.requests.total} requests answered alike, ${tookS} s`);
    for (const line of tally.lines()) console.log(line);
    if (divergence !== undefined) console.log(`etcd ${version} and the embedded one differ: ${divergence}`);
    const missing = divergence === undefined ? tally.shortfalls(operations) : [];
    for (const line of missing) console.log(`Too little of ${line}`);
    if (divergence !== undefined || missing.length > 0) process.exitCode = 1;
  }),
);
console.log(`seed ${seed}, ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
