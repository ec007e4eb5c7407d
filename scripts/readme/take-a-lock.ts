import assert from 'node:assert/strict';
import { CoordinationUnavailableError, LockLostError, LockTimeoutError } from 'holdfast';
import { TestWorld } from 'holdfast/testing';

const world = new TestWorld();
const process = await world.connect({ instanceId: 'one' });
const another = await world.connect({ instanceId: 'another' });
const { coordinator } = process;
const done: string[] = [];
const retryLater = () => void done.push('retries');
let build = async () => void done.push('builds');

async function daily() {
  // The snippet.
}

await world.settle(daily());
assert.deepEqual(done.splice(0), ['builds'], 'the lock was free');

const held = await world.settle(another.coordinator.lock('reports/daily').acquire());
await world.settle(daily());
assert.deepEqual(done.splice(0), [], 'somebody held it');
await world.settle(held.release());

build = () => Promise.reject(new Error('the work failed'));
await assert.rejects(world.settle(daily()), { message: 'the work failed' });

build = async () => {
  done.push('builds');
  process.cutOff();
  await world.sleep(60_000);
};
await world.settle(daily(), 120_000);
assert.deepEqual(done.splice(0), ['builds'], 'the lock was lost under the work');

process.heal();
world.stopEtcd();
await world.settle(daily());
assert.deepEqual(done.splice(0), ['retries'], 'etcd did not answer');
