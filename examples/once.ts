/**
 * Three workers that all need the bucket of a new tenant: it is provisioned once, and everybody gets its address. Then the one thing that no
 * lock can prevent: a worker dies between the effect and the record, the work is done again, and the provider knows it by its key.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/once.js
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, LockTimeoutError } from 'holdfast';

/** Where buckets come from: a service that knows idempotency keys, as most do. */
const provider = {
  requests: 0,
  buckets: new Map<string, { readonly url: string }>(),
  async create(idempotencyKey: string, signal: AbortSignal): Promise<{ readonly url: string }> {
    this.requests += 1;
    await sleep(200, undefined, { signal });
    const known = this.buckets.get(idempotencyKey);
    const bucket = known ?? { url: `https://buckets.example/${this.buckets.size + 1}` };
    this.buckets.set(idempotencyKey, bucket);
    return bucket;
  },
};

/* Other runs of this example may have left records. */
const tenant = `provision:tenant-${Date.now()}`;
const names = ['ann', 'ben', 'cleo'];
const workers = names.map((instanceId) => createCoordinator({ namespace: 'example', instanceId }));
const [ann, ben] = workers;
assert.ok(ann !== undefined && ben !== undefined);
const options = { ttlMs: 10_000, timeoutMs: 30_000 };

try {
  const buckets = await Promise.all(
    workers.map((worker) => worker.once(tenant, ({ key, signal }) => provider.create(key, signal), options)),
  );
  for (const [index, { url }] of buckets.entries()) console.log(`${names[index]} uses ${url}`);
  assert.equal(provider.requests, 1, 'it was provisioned once');

  /* Whoever comes later, too, for one call to etcd. */
  const again = await ben.once(tenant, () => assert.fail('it is done'), options);
  assert.deepEqual(again, buckets[0]);

  /* Who is in a hurry does not wait for somebody else's work. */
  const hurried = () => ben.once(`${tenant}:slow`, () => {}, { ...options, timeoutMs: 2_000 });
  await ann.once(`${tenant}:slow`, () => assert.rejects(hurried, LockTimeoutError), options);
  console.log('Who does not want to wait is told that somebody else is at it.');

  /* The effect is there, and then something happens to the process: here an error, in earnest the end of it. Nothing is on record. */
  const other = `${tenant}:other`;
  const dying = ann.once(
    other,
    async ({ key, signal }) => {
      await provider.create(key, signal);
      throw new Error('the lights go out');
    },
    options,
  );
  await assert.rejects(dying, /lights/);
  const bucket = await ben.once(other, ({ key, signal }) => provider.create(key, signal), options);
  assert.equal(provider.requests, 3, 'it was asked for twice');
  assert.equal(provider.buckets.size, 2, 'and is there once');
  console.log(`ben did it again, and got the same: ${bucket.url}`);

  /* An operator wants it done anew. */
  await ben.forgetOnce(other);
  assert.equal(await ann.once(other, () => 'anew', options), 'anew');
  await Promise.all([tenant, `${tenant}:slow`, other].map((key) => ann.forgetOnce(key)));
} finally {
  await Promise.all(workers.map((worker) => worker.close()));
}
