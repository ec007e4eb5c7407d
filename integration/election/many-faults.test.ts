import test from 'ava';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { clientFaults, type Fault } from './faults.ts';
import { clusterFaults, outages } from './outages.ts';
import { hold, lineOf, type TrialOptions } from './trial.ts';

/* The faults of faults.test.ts again and again, in changing order, and those that take the time of an outage. */

const seed = 1;

/** So often each, in an order that the seed decides. */
function often(times: number, faults: readonly Fault[]): Fault[] {
  const random = new SeededRandom(seed);
  const rest = Array.from({ length: times }, () => faults).flat();
  return Array.from({ length: rest.length }, () => rest.splice(random.integer(0, rest.length - 1), 1)).flat();
}

const trials: readonly [string, TrialOptions][] = [
  [
    '3.5.30, one member, faults of leaders',
    { version: '3.5.30', elections: 3, faults: often(4, clientFaults), candidates: 4 },
  ],
  ['3.4, one member, faults of leaders', { version: '3.4', elections: 3, faults: often(2, clientFaults) }],
  ['3.5.30, one member, outages', { version: '3.5.30', faults: outages }],
  ['3.5.30, three members', { version: '3.5.30', members: 3, faults: often(1, [...outages, ...clusterFaults]) }],
  ['3.4, three members', { version: '3.4', members: 3, faults: [...clusterFaults, ...outages] }],
];

for (const [what, options] of trials) {
  test.serial(`etcd ${what}: never two leaders, rising terms, and soon a new leader`, async (t) => {
    t.timeout(240_000);
    for (const passage of await hold(options)) t.log(lineOf(passage));
    t.pass();
  });
}
