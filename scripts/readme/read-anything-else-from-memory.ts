import assert from 'node:assert/strict';
import { createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
await using another = createCoordinator({ endpoints: etcd.endpoint });
await another.cache('users/').put('ann', 'admin');

// The snippet.

assert.equal(routes.get('eu')?.value, 'http://10.0.0.7:8080');
assert.equal(users.get('ann')?.value, 'admin');
assert.equal(users.stats().entries, 1);
await another.cache('routes/').put('eu', 'http://10.0.0.8:8080');
assert.equal((await routes.read('eu', { consistency: 'linearizable' }))?.value, 'http://10.0.0.8:8080');
