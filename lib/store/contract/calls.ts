import { apply, call, failure, put, WatchReader, type ContractCase } from './contract.ts';

export const callCases: readonly ContractCase[] = [
  {
    title: 'the status tells revision and version',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}a`));
      const status = await store.status(call);
      t.is(status.revision, revision);
      t.true(/^3\.\d+\.\d+/.test(status.version), status.version);
      t.true(status.dbSizeBytes >= 0);
      t.true(status.hasLeader);
    },
  },
  {
    title: 'a call may be given all the time there is',
    run: async (t, store, { prefix }) => {
      for (const timeoutMs of [100_000_000, 2 ** 31, Number.MAX_VALUE]) {
        t.is((await store.range({ prefix }, { timeoutMs })).count, 0);
      }
    },
  },
  {
    title: 'a call whose signal was aborted before is not sent',
    run: async (t, store, { prefix, newLease }) => {
      const reason = new Error('too late');
      const options = { ...call, signal: AbortSignal.abort(reason) };
      const calls = {
        range: store.range({ prefix }, options),
        transact: store.transact({ compare: [], then: [put(`${prefix}a`)] }, options),
        grant: store.grant(newLease(), 60_000, options),
        revoke: store.revoke(newLease(), options),
        renew: store.renew(newLease(), options),
        leaseKeys: store.leaseKeys(newLease(), options),
        status: store.status(options),
      };
      const errors = await Promise.all(
        Object.entries(calls).map(async ([method, promise]) => ({ method, error: await failure(promise) })),
      );
      for (const { method, error } of errors) {
        t.deepEqual([error.reason, error.outcome], ['cancelled', 'transient'], method);
        t.is(error.cause, reason, method);
      }
      t.is((await store.range({ prefix }, call)).count, 0);
    },
  },
  {
    title: 'a closed store ends its watches, refuses every call, and can be closed again',
    run: async (t, store, { prefix, connect }) => {
      const other = await connect();
      const { revision } = await apply(other, put(`${prefix}a`));
      await using watch = new WatchReader(other, { prefix }, revision + 1n);
      await watch.batch();
      const next = failure(watch.batch());
      await other.close();
      await other.close();
      t.is((await next).reason, 'closed');
      const refused = await failure(apply(other, put(`${prefix}b`)));
      t.deepEqual([refused.reason, refused.outcome], ['closed', 'permanent']);
      await using late = new WatchReader(other, { prefix }, revision);
      t.is((await failure(late.batch())).reason, 'closed');
      t.is((await store.range({ prefix }, call)).count, 1);
    },
  },
];
