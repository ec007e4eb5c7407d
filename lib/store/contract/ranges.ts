import type { RangeRequest } from '../store.ts';
import { apply, call, failure, put, type ContractCase } from './contract.ts';

export const rangeCases: readonly ContractCase[] = [
  {
    title: 'a range answers its span in order, cut at the limit, and counts without regard to limit and filters',
    run: async (t, store, { prefix }) => {
      const span = { prefix: `${prefix}s/` };
      const a = await apply(store, put(`${prefix}s/a`));
      const b = await apply(store, put(`${prefix}s/b`));
      await apply(store, put(`${prefix}s/c`));
      const again = await apply(store, put(`${prefix}s/b`));
      await apply(store, put(`${prefix}t`), put(`${prefix}s`));

      const table: readonly (readonly [Partial<RangeRequest>, keys: string, count: number, more: boolean])[] = [
        [{}, 'abc', 3, false],
        [{ limit: 0 }, 'abc', 3, false],
        [{ limit: 3 }, 'abc', 3, false],
        [{ limit: 1 }, 'a', 3, true],
        [{ minModRevision: 0n }, 'abc', 3, false],
        [{ minModRevision: again.revision }, 'b', 3, false],
        [{ minModRevision: again.revision, limit: 1 }, 'b', 3, false],
        [{ minModRevision: again.revision - 1n, limit: 1 }, 'b', 3, true],
        [{ minModRevision: again.revision + 100n }, '', 3, false],
        [{ maxCreateRevision: b.revision }, 'ab', 3, false],
        [{ maxCreateRevision: b.revision, limit: 1 }, 'a', 3, true],
        [{ maxCreateRevision: a.revision - 1n }, '', 3, false],
        [{ countOnly: true }, '', 3, false],
        [{ countOnly: true, limit: 1, minModRevision: again.revision }, '', 3, false],
        [{ revision: a.revision }, 'a', 1, false],
        [{ revision: b.revision, limit: 1 }, 'a', 2, true],
        [{ sort: { by: 'key', order: 'descend' } }, 'cba', 3, false],
        [{ sort: { by: 'create', order: 'ascend' } }, 'abc', 3, false],
        [{ sort: { by: 'mod', order: 'ascend' } }, 'acb', 3, false],
        [{ sort: { by: 'mod', order: 'descend' }, limit: 2 }, 'bc', 3, true],
        [{ sort: { by: 'create', order: 'descend' }, limit: 1, maxCreateRevision: b.revision }, 'b', 3, true],
        [{ from: `${prefix}s/b` }, 'bc', 2, false],
        [{ from: `${prefix}s/aa`, limit: 1 }, 'b', 2, true],
        [{ from: `${prefix}r` }, 'abc', 3, false],
        [{ from: `${prefix}s/d` }, '', 0, false],
        [{ from: `${prefix}u` }, '', 0, false],
      ];
      const newest = (await store.range(span, call)).revision;
      for (const [request, keys, count, more] of table) {
        const response = await store.range({ ...span, ...request }, call);
        const found = response.entries.map(({ key }) => key.slice(span.prefix.length)).join('');
        const name = JSON.stringify(request, (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        );
        t.deepEqual([found, response.count, response.more, response.revision], [keys, count, more, newest], name);
      }
    },
  },
  {
    title: 'a single key is no prefix',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}a`), put(`${prefix}ab`));
      const { entries, count } = await store.range({ key: `${prefix}a` }, call);
      t.deepEqual([entries.map(({ key }) => key), count], [[`${prefix}a`], 1]);
      t.is((await store.range({ key: `${prefix}abc` }, call)).count, 0);
    },
  },
  {
    title: 'without values, everything else is answered',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, put(`${prefix}a`, 'secret'));
      const { entries } = await store.range({ prefix, keysOnly: true }, call);
      const life = { createRevision: revision, modRevision: revision, version: 1n, lease: 0n };
      t.deepEqual(entries, [{ key: `${prefix}a`, value: '', ...life }]);
    },
  },
  {
    title: 'an empty prefix is every key',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}a`));
      const everything = await store.range({ prefix: '', keysOnly: true }, call);
      t.true(everything.entries.some(({ key }) => key === `${prefix}a`));
      t.is(everything.count, everything.entries.length);
    },
  },
  {
    title: 'keys and values are UTF-8, and keys are in the order of their bytes',
    run: async (t, store, { prefix }) => {
      const names = ['', '\u0000', 'z', 'é', '漢', '\uE000', '\uFFFD', '\u{1F600}', '\u{10FFFF}'];
      await apply(store, ...names.toReversed().map((name) => put(prefix + name, `value of ${name}`)));
      const { entries } = await store.range({ prefix }, call);
      t.deepEqual(
        entries.map(({ key, value }) => [key, value]),
        names.map((name) => [prefix + name, `value of ${name}`]),
      );
      const { entries: rest } = await store.range({ prefix, from: `${prefix}\uFFFD` }, call);
      t.is(rest.length, 3);
    },
  },
  {
    title: 'a delete takes its span and nothing else',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}a`), put(`${prefix}a/b`), put(`${prefix}a/c`), put(`${prefix}ab`));
      const { responses } = await apply(store, { type: 'delete', prefix: `${prefix}a/` });
      t.deepEqual(responses, [{ type: 'delete', deleted: 2 }]);
      const { entries } = await store.range({ prefix }, call);
      t.deepEqual(
        entries.map(({ key }) => key),
        [`${prefix}a`, `${prefix}ab`],
      );
    },
  },
  {
    title: 'a revision that is compacted, or not yet there, cannot be read; the compacted one itself can',
    run: async (t, store, { prefix, compact }) => {
      const key = `${prefix}a`;
      const first = await apply(store, put(key, '1'));
      const second = await apply(store, put(key, '2'));
      const deletion = await apply(store, { type: 'delete', key });
      await compact(second.revision);

      const gone = await failure(store.range({ key, revision: first.revision }, call));
      t.deepEqual([gone.reason, gone.outcome], ['compacted', 'permanent']);
      t.is((await failure(apply(store, { type: 'range', key, revision: first.revision }))).reason, 'compacted');
      t.is((await store.range({ key, revision: second.revision }, call)).entries[0]?.value, '2');
      t.is((await store.range({ key, revision: deletion.revision }, call)).count, 0);
      const future = await failure(store.range({ key, revision: deletion.revision + 100n }, call));
      t.is(future.reason, 'future-revision');
    },
  },
];
