import test from 'ava';
import { Reports } from '../examples/demo/reports.ts';
import { Witness } from '../examples/demo/witness.ts';

const job = { id: 't-1', from: 'ada', to: 'ben', amount: 1 };
const outage = { from: 1_000n, to: 9_000n };

const grants: readonly (readonly [what: string, askedAt: bigint, at: bigint, counted: number])[] = [
  ['asked for and granted before', 100n, 900n, 0],
  ['granted by an answer of before, however late it is read', 900n, 8_900n, 0],
  ['asked for in it, and granted after it', 8_000n, 9_100n, 0],
  ['asked for and granted after it', 9_100n, 9_200n, 0],
  ['asked for and granted in it', 1_001n, 1_002n, 1],
];

for (const [what, askedAt, at, counted] of grants) {
  test(`a lock that was ${what} was granted without etcd ${counted} times`, (t) => {
    const reports = new Reports();
    using witness = new Witness(reports);
    reports.publish({ worker: 'w1', type: 'granted', job, touched: [], askedAt, at });
    t.is(witness.grantsDuring([outage]), counted);
  });
}
