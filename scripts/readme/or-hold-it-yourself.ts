import assert from 'node:assert/strict';
import { createCoordinator } from 'holdfast';
import { startEmbeddedEtcd } from 'holdfast/testing';

await using etcd = await startEmbeddedEtcd();
await using coordinator = createCoordinator({ endpoints: etcd.endpoint });
await using another = createCoordinator({ endpoints: etcd.endpoint });
const { signal } = new AbortController();
const chunks = ['a', 'b', 'c'];
const loaded: string[] = [];

async function load(chunk: string, { signal }: { signal: AbortSignal }) {
  assert.equal(await another.lock('import').tryAcquire(), undefined, 'nobody else can have it');
  assert.equal(signal.aborted, false);
  loaded.push(chunk);
}

{
  // The snippet.
}

assert.deepEqual(loaded, chunks);
const next = await another.lock('import').tryAcquire();
assert.ok(next, 'it was released at the end of the block');
await next.release();
