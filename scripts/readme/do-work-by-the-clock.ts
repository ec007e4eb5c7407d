import assert from 'node:assert/strict';
import { TestWorld } from 'holdfast/testing';

const world = new TestWorld();
const { coordinator } = await world.connect({ instanceId: 'one' });
const reported: { readonly at: Date; readonly token: bigint }[] = [];

async function report(at: Date, token: bigint, signal: AbortSignal) {
  assert.equal(signal.aborted, false);
  reported.push({ at, token });
}

async function schedule() {
  // The snippet.
  return job;
}

const job = await world.settle(schedule());
await world.advance(24 * 3_600_000);
assert.equal(reported.length, 1, 'one night has passed');
const [{ at, token } = assert.fail()] = reported;
assert.equal(at.toLocaleTimeString('en-GB', { timeZone: 'Europe/Berlin' }), '03:00:00');
const [record, ...others] = await world.settle(job.history());
assert.deepEqual(others, []);
assert.ok(record?.state === 'finished');
assert.deepEqual([record.scheduledFor, record.token, record.instanceId], [at, token, 'one']);
