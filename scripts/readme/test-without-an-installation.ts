import assert from 'node:assert/strict';
import { CoordinationUnavailableError, createCoordinator } from 'holdfast';

// The snippet.

await using coordinator = createCoordinator({
  endpoints: proxy.endpoint,
  request: { deadlineMs: 2_000, timeoutMs: 1_000 },
});
const held = await coordinator.lock('a').acquire();
assert.equal(etcd.leases.length, 1);
proxy.blackhole();
await assert.rejects(coordinator.lock('b').tryAcquire(), CoordinationUnavailableError);
proxy.heal();
await held.release();
await coordinator.lock('b').with(() => undefined, { waitForRecovery: true });
