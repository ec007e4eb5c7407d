import test from 'ava';
import type { EtcdVersion } from '../provision/etcd.ts';
import { clientFaults, type Fault } from './faults.ts';
import { hold, lineOf } from './trial.ts';

/* The versions and how many elections go on beside each other, to be done sooner. */
const trials: readonly [EtcdVersion, number, readonly Fault[]][] = [
  ['3.5.30', 3, clientFaults],
  ['3.4', 1, clientFaults.filter(({ name }) => /stopped|blackhole|revokes/.test(name))],
];

for (const [version, elections, faults] of trials) {
  test(`etcd ${version}: never two leaders, rising terms, and soon a new leader, after ${faults.length} faults of leaders`, async (t) => {
    for (const passage of await hold({ version, elections, faults })) t.log(lineOf(passage));
    t.pass();
  });
}
