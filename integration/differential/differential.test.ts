import test from 'ava';
import { etcdVersions } from '../provision/etcd.ts';
import { compare } from './differential.ts';

/** `npm run differential` makes many more, and others. */
const requests = 500;

for (const version of etcdVersions) {
  test.serial(`etcd ${version} and the embedded one answer ${requests} requests at random alike`, async (t) => {
    const { tally, divergence } = await compare(version, 1, requests);
    t.is(divergence, undefined);
    t.deepEqual(tally.shortfalls(requests), []);
    t.true(tally.expiry.get('leases') > 0);
  });
}
