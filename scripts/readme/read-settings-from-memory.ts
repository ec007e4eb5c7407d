import assert from 'node:assert/strict';
import { ConfigInvalidError, createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';
import { z } from 'zod';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
const schema = z.object({ perMinute: z.number().int().positive() });

// The snippet.

assert.deepEqual(limits.get()?.value, { perMinute: 100 });
assert.deepEqual([limits.get()?.version, limits.get()?.source], [1, 'live']);
await assert.rejects(
  limits.update((current) => ({ ...current, perMinute: -1 })),
  ConfigInvalidError,
);
await limits.update((current) => ({ ...current, perMinute: 200 }));
await limits.rollback(1);
assert.deepEqual([limits.get()?.version, limits.get()?.value.perMinute], [3, 100]);
