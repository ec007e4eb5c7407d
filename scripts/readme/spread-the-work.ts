import assert from 'node:assert/strict';
import { createCoordinator, type HeldPartition } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
const done = new AbortController();
const { signal } = done;
const shipped = new Map<number, bigint>();

/** Ships until the partition is to go. When all are owned, everything comes to its end. */
function ship(partition: number, held: HeldPartition) {
  shipped.set(partition, held.token);
  if (shipped.size === 64) done.abort(new Error('all are owned'));
  return new Promise<void>((resolve) => {
    if (held.signal.aborted) resolve();
    held.signal.addEventListener('abort', () => resolve());
  });
}

const owning = async () => {
  // The snippet.
};

await assert.rejects(owning(), { message: 'all are owned' });
assert.deepEqual(
  [...shipped.keys()].toSorted((a, b) => a - b),
  Array.from({ length: 64 }, (_, partition) => partition),
);
assert.ok([...shipped.values()].every((token) => token > 0n));
assert.deepEqual(coordinator.partitions('orders', { count: 64 }).standing().owned, []);
