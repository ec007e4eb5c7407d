import assert from 'node:assert/strict';
import { createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
await using another = createCoordinator({ endpoints: etcd.endpoint });
const address = 'http://10.0.0.7:8080';
const { signal: shutdown } = new AbortController();
const tokens: bigint[] = [];
const routed: unknown[] = [];

/** Reports once, as the leader. Then it is another's turn. */
async function report(token: bigint, signal: AbortSignal) {
  assert.deepEqual(await another.election('reporter').leader(), {
    instanceId: coordinator.instanceId,
    value: address,
    token,
  });
  assert.equal(signal.aborted, false);
  tokens.push(token);
}

/** Sees one leader come and go, and closes. */
function route(value: string | undefined) {
  routed.push(value);
  if (routed.length === 1)
    void another.election('reporter').lead(({ token }) => tokens.push(token), { value: 'another' });
  if (routed.length === 3) void coordinator.close();
}

// The snippet.

assert.deepEqual(routed, [undefined, 'another', undefined]);
const [first = 0n, second = 0n] = tokens;
assert.ok(0n < first && first < second);
