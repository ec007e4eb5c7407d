import { apply, brief, call, failure, put, WatchReader, type ContractCase } from './contract.ts';

export const leaseCases: readonly ContractCase[] = [
  {
    title: 'a grant answers whole seconds, at least what the server grants at all, and moves no revision',
    run: async (t, store, { prefix, newLease }) => {
      const { revision } = await store.range({ prefix }, call);
      const long = await store.grant(newLease(), 59_001, call);
      t.is(long.ttlMs, 60_000);
      t.is(long.revision, revision);
      t.is((await store.grant(newLease(), 1_000, call)).ttlMs, 2_000);
    },
  },
  {
    title: 'an ID is granted once, until its lease is gone',
    run: async (t, store, { newLease }) => {
      const lease = newLease();
      await store.grant(lease, 60_000, call);
      const { reason, outcome } = await failure(store.grant(lease, 30_000, call));
      t.deepEqual([reason, outcome], ['lease-exists', 'permanent']);
      await store.revoke(lease, call);
      t.is((await store.grant(lease, 30_000, call)).ttlMs, 30_000);
      await store.revoke(lease, call);
    },
  },
  {
    title: 'a renewal answers the granted TTL, and 0 for a lease that is gone or never was',
    run: async (t, store, { newLease }) => {
      const lease = newLease();
      await store.grant(lease, 60_000, call);
      const renewal = await store.renew(lease, call);
      t.is(renewal.ttlMs, 60_000);
      t.true(renewal.revision > 0n);
      await store.revoke(lease, call);
      t.is((await store.renew(lease, call)).ttlMs, 0);
      t.is((await store.renew(newLease(), call)).ttlMs, 0);
    },
  },
  {
    title: 'a revoked lease takes its keys along in one revision, in the order of the keys',
    run: async (t, store, { prefix, newLease }) => {
      const lease = newLease();
      await store.grant(lease, 60_000, call);
      for (const name of ['z', 'a', 'm']) await apply(store, put(prefix + name, 'value', lease));
      const { revision } = await apply(store, put(`${prefix}other`));
      await using watch = new WatchReader(store, { prefix }, revision + 1n);
      await watch.batch();
      await store.revoke(lease, call);

      const batch = await watch.events();
      t.is(batch.revision, revision + 1n);
      t.deepEqual(
        batch.events.map((event) => brief(event)),
        [`delete ${prefix}a`, `delete ${prefix}m`, `delete ${prefix}z`],
      );
      const { entries } = await store.range({ prefix }, call);
      t.deepEqual(
        entries.map(({ key }) => key),
        [`${prefix}other`],
      );
    },
  },
  {
    title: 'revoking a lease without keys moves no revision; revoking none resolves',
    run: async (t, store, { prefix, newLease }) => {
      const lease = newLease();
      const { revision } = await store.grant(lease, 60_000, call);
      await store.revoke(lease, call);
      await store.revoke(lease, call);
      await store.revoke(newLease(), call);
      t.is((await store.range({ prefix }, call)).revision, revision);
    },
  },
  {
    title: 'a key is on the lease of its last put, or on none',
    run: async (t, store, { prefix, newLease }) => {
      const [first, second] = [newLease(), newLease()];
      await store.grant(first, 60_000, call);
      await store.grant(second, 60_000, call);
      for (const name of ['a', 'b', 'c', 'd']) await apply(store, put(prefix + name, 'value', first));
      await apply(store, put(`${prefix}b`, 'value', second), put(`${prefix}c`));
      await apply(store, { type: 'delete', key: `${prefix}d` });

      const keysOf = async (lease: bigint): Promise<readonly string[]> =>
        (await store.leaseKeys(lease, call)).keys.toSorted();
      t.deepEqual(await keysOf(first), [`${prefix}a`]);
      t.deepEqual(await keysOf(second), [`${prefix}b`]);
      const { entries } = await store.range({ prefix }, call);
      t.deepEqual(
        entries.map(({ lease }) => lease),
        [first, second, 0n],
      );
      await store.revoke(first, call);
      await store.revoke(second, call);
      t.is((await store.range({ prefix }, call)).count, 1);
    },
  },
  {
    title: 'what is left of a lease is told in whole seconds, and 0 or less when it is gone',
    run: async (t, store, { prefix, newLease }) => {
      const lease = newLease();
      await store.grant(lease, 60_000, call);
      await apply(store, put(`${prefix}a`, 'value', lease));
      const { remainingMs, keys, revision } = await store.leaseKeys(lease, call);
      t.true(remainingMs > 50_000 && remainingMs <= 60_000 && remainingMs % 1_000 === 0, String(remainingMs));
      t.deepEqual(keys, [`${prefix}a`]);
      t.is(revision, (await store.range({ prefix }, call)).revision);
      await store.revoke(lease, call);
      const gone = await store.leaseKeys(lease, call);
      t.true(gone.remainingMs <= 0, String(gone.remainingMs));
      t.deepEqual(gone.keys, []);
    },
  },
  {
    title: 'a lease lives while it is renewed, and takes its keys along when it is not',
    run: async (t, store, { prefix, newLease, pass, now }) => {
      const lease = newLease();
      const { ttlMs } = await store.grant(lease, 3_000, call);
      const { revision } = await apply(store, put(`${prefix}a`, 'value', lease));
      await using watch = new WatchReader(store, { prefix }, revision + 1n);
      await watch.batch();
      await pass(ttlMs / 4);
      const renewedAt = now();
      t.is((await store.renew(lease, call)).ttlMs, ttlMs);
      t.deepEqual(await watch.take(1), [`delete ${prefix}a`]);
      /* Without the renewal it would have gone a quarter of its time sooner, which is more than etcd is late by. */
      t.true(now() - renewedAt >= ttlMs, 'it goes before its time');
      t.is((await store.renew(lease, call)).ttlMs, 0);
      t.true((await store.leaseKeys(lease, call)).remainingMs <= 0);
    },
  },
];
