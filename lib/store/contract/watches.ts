import { apply, brief, failure, put, WatchReader, type ContractCase } from './contract.ts';

export const watchCases: readonly ContractCase[] = [
  {
    title: 'a watch begins with an empty batch, then delivers what happens in its span and nothing else',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}before`));
      await using watch = new WatchReader(store, { prefix: `${prefix}w/` }, revision + 1n);
      t.deepEqual(await watch.batch(), { revision, events: [] });
      await apply(store, put(`${prefix}w`), put(`${prefix}x`));
      const first = await apply(store, put(`${prefix}w/a`, '1'));
      const second = await apply(store, { type: 'delete', key: `${prefix}w/a` });

      const life = { createRevision: first.revision, modRevision: first.revision, version: 1n, lease: 0n };
      t.deepEqual(await watch.events(), {
        revision: first.revision,
        events: [{ type: 'put', entry: { key: `${prefix}w/a`, value: '1', ...life } }],
      });
      t.deepEqual(await watch.events(), {
        revision: second.revision,
        events: [{ type: 'delete', key: `${prefix}w/a`, modRevision: second.revision }],
      });
    },
  },
  {
    title: 'a watch of one key sees that key only',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}a`));
      await using watch = new WatchReader(store, { key: `${prefix}a` }, revision + 1n);
      await apply(store, put(`${prefix}ab`), put(`${prefix}A`));
      await apply(store, put(`${prefix}a`, '2'));
      t.deepEqual(await watch.take(1), [`put ${prefix}a=2`]);
    },
  },
  {
    title: 'a watch from the past delivers every revision since then, then goes on without a gap',
    run: async (t, store, { prefix }) => {
      const first = await apply(store, put(`${prefix}0`));
      for (let count = 1; count < 20; count += 1) await apply(store, put(`${prefix}${count}`));
      await using watch = new WatchReader(store, { prefix }, first.revision);
      const live = apply(store, put(`${prefix}20`));
      const expected = Array.from({ length: 21 }, (_, count) => `put ${prefix}${count}=value`);
      t.deepEqual(await watch.take(21), expected);
      await live;
    },
  },
  {
    title: 'the events of one revision come in one batch, in the order in which the transaction did them',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}old`), put(`${prefix}older`));
      await using live = new WatchReader(store, { prefix }, revision + 1n);
      await live.batch();
      const nested = [put(`${prefix}a`), put(`${prefix}c`)];
      const change = await apply(
        store,
        put(`${prefix}z`),
        { type: 'delete', prefix: `${prefix}old` },
        { type: 'txn', compare: [], then: nested },
        put(`${prefix}b`),
      );
      const expected = [
        `put ${prefix}z=value`,
        `delete ${prefix}old`,
        `delete ${prefix}older`,
        `put ${prefix}a=value`,
        `put ${prefix}c=value`,
        `put ${prefix}b=value`,
      ];
      await using past = new WatchReader(store, { prefix }, change.revision);
      for (const watch of [live, past]) {
        const batch = await watch.events();
        t.is(batch.revision, change.revision);
        t.deepEqual(
          batch.events.map((event) => brief(event)),
          expected,
        );
      }
    },
  },
  {
    title: 'a watch from a revision that is not yet there is silent until it comes',
    run: async (t, store, { prefix, pass }) => {
      const { revision } = await apply(store, put(`${prefix}a`, '0'));
      await using watch = new WatchReader(store, { prefix }, revision + 3n);
      await watch.batch();
      await apply(store, put(`${prefix}a`, '1'));
      await apply(store, put(`${prefix}a`, '2'));
      t.true(await watch.isSilent(pass(300)));
      await apply(store, put(`${prefix}a`, '3'));
      t.deepEqual(await watch.take(1), [`put ${prefix}a=3`]);
    },
  },
  {
    title: 'a watch from a compacted revision ends, and tells from where history is left',
    run: async (t, store, { prefix, compact }) => {
      const first = await apply(store, put(`${prefix}a`, '1'));
      await apply(store, put(`${prefix}a`, '2'));
      const third = await apply(store, put(`${prefix}a`, '3'));
      await compact(third.revision);
      await using gone = new WatchReader(store, { prefix }, first.revision);
      const error = await failure(gone.events());
      t.deepEqual([error.reason, error.outcome, error.compactRevision], ['compacted', 'permanent', third.revision]);
      await using left = new WatchReader(store, { prefix }, third.revision);
      t.deepEqual(await left.take(1), [`put ${prefix}a=3`]);
    },
  },
  {
    title: 'a watch ends by throwing when its signal aborts, and without a word when its reader leaves',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}a`));
      const reason = new Error('enough');
      await using aborted = new WatchReader(store, { prefix }, revision + 1n);
      await aborted.batch();
      const next = failure(aborted.batch());
      aborted.abort(reason);
      const error = await next;
      t.is(error.reason, 'cancelled');
      t.is(error.cause, reason);

      const stop = new AbortController();
      for await (const batch of store.watch({ span: { prefix }, fromRevision: revision }, stop.signal)) {
        if (batch.events.length > 0) break;
      }
      stop.abort();
    },
  },
];
