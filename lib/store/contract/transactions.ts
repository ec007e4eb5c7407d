import type { Compare, Operation, Transaction } from '../store.ts';
import { answer, apply, call, failure, put, type ContractCase } from './contract.ts';

/** Both transactions have the same operations in both branches, so that only the refusal is of interest. */
function nested(then: readonly Operation[], otherwise: readonly Operation[] = []): Operation {
  return { type: 'txn', compare: [], then, otherwise };
}

export const transactionCases: readonly ContractCase[] = [
  {
    title: 'a transaction raises the revision once, whatever it writes, and not at all if it has no effect',
    run: async (t, store, { prefix }) => {
      const { revision } = await apply(store, { type: 'range', key: `${prefix}a` });
      const writes = await apply(store, put(`${prefix}a`), put(`${prefix}b`), put(`${prefix}c`));
      t.is(writes.revision, revision + 1n);
      const { entries } = await store.range({ prefix }, call);
      t.deepEqual(
        entries.map((entry) => entry.createRevision),
        [revision + 1n, revision + 1n, revision + 1n],
      );
      t.is((await apply(store, { type: 'delete', key: `${prefix}none` })).revision, revision + 1n);
      t.is((await store.range({ prefix }, call)).revision, revision + 1n);
      t.is((await apply(store, put(`${prefix}a`))).revision, revision + 2n);
    },
  },
  {
    title: 'a key carries when its life began, when it was written last, and how often; a new life begins anew',
    run: async (t, store, { prefix }) => {
      const key = `${prefix}a`;
      const first = await apply(store, put(key, '1'));
      const second = await apply(store, put(key, '2'));
      const { entries } = await store.range({ key }, call);
      const life = { createRevision: first.revision, modRevision: second.revision, version: 2n, lease: 0n };
      t.deepEqual(entries, [{ key, value: '2', ...life }]);
      const deletion = await apply(store, { type: 'delete', key });
      t.is(answer(deletion, 0, 'delete').deleted, 1);
      const third = await apply(store, put(key, ''));
      const next = { createRevision: third.revision, modRevision: third.revision, version: 1n, lease: 0n };
      t.deepEqual((await store.range({ key }, call)).entries, [{ key, value: '', ...next }]);
    },
  },
  {
    title: 'create-if-absent succeeds once, and the other branch answers who is there',
    run: async (t, store, { prefix }) => {
      const key = `${prefix}a`;
      const create = (value: string): Transaction => ({
        compare: [{ key, target: 'create', is: '=', than: 0n }],
        then: [put(key, value)],
        otherwise: [{ type: 'range', key }],
      });
      const won = await store.transact(create('first'), call);
      t.true(won.succeeded);
      t.deepEqual(won.responses, [{ type: 'put' }]);
      const lost = await store.transact(create('second'), call);
      t.is(lost.succeeded, false);
      t.is(lost.revision, won.revision);
      t.is(answer(lost, 0, 'range').entries[0]?.value, 'first');
    },
  },
  {
    title: 'a put and the two newest keys after it, in one transaction, answer the predecessor',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}z`));
      const before = await apply(store, put(`${prefix}y`));
      const response = await apply(store, put(`${prefix}m`), {
        type: 'range',
        prefix,
        sort: { by: 'create', order: 'descend' },
        limit: 2,
      });
      const range = answer(response, 1, 'range');
      t.deepEqual(
        range.entries.map(({ key, createRevision }) => [key, createRevision]),
        [
          [`${prefix}m`, response.revision],
          [`${prefix}y`, before.revision],
        ],
      );
      t.is(range.count, 3);
      t.is(range.more, true);
      t.is(range.revision, response.revision);
    },
  },
  {
    title:
      'a compare over a prefix holds if it holds for every key; a missing key counts as created, changed and written never',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}one/a`));
      const { revision } = await apply(store, put(`${prefix}one/b`), put(`${prefix}two/a`));
      await apply(store, put(`${prefix}two/a`));
      const one = { prefix: `${prefix}one/` };
      const two = { key: `${prefix}two/a` };
      const none = { prefix: `${prefix}none/` };
      const missing = { key: `${prefix}none` };
      const table: readonly (readonly [Compare, boolean])[] = [
        [{ ...one, target: 'create', is: '=', than: 0n }, false],
        [{ ...one, target: 'create', is: '>', than: 0n }, true],
        [{ ...one, target: 'create', is: '<', than: revision }, false],
        [{ ...one, target: 'create', is: '<', than: revision + 1n }, true],
        [{ ...one, target: 'version', is: '=', than: 1n }, true],
        [{ ...one, target: 'mod', is: '!=', than: revision }, false],
        [{ ...two, target: 'create', is: '=', than: revision }, true],
        [{ ...two, target: 'mod', is: '=', than: revision + 1n }, true],
        [{ ...two, target: 'mod', is: '<', than: revision + 1n }, false],
        [{ ...two, target: 'version', is: '=', than: 2n }, true],
        [{ ...two, target: 'version', is: '!=', than: 2n }, false],
        [{ ...none, target: 'create', is: '=', than: 0n }, true],
        [{ ...none, target: 'create', is: '<', than: 0n }, false],
        [{ ...none, target: 'create', is: '<', than: 1n }, true],
        [{ ...none, target: 'mod', is: '=', than: 0n }, true],
        [{ ...none, target: 'version', is: '!=', than: 0n }, false],
        [{ ...missing, target: 'version', is: '=', than: 0n }, true],
        [{ ...missing, target: 'create', is: '>', than: 0n }, false],
      ];
      for (const [compare, expected] of table) {
        const { succeeded } = await store.transact({ compare: [compare], then: [] }, call);
        const { target, is, than } = compare;
        t.is(succeeded, expected, `${'key' in compare ? compare.key : compare.prefix} ${target} ${is} ${than}`);
      }
    },
  },
  {
    title: 'the value of a missing key is neither equal nor unequal to anything',
    run: async (t, store, { prefix }) => {
      await apply(store, put(`${prefix}a`, 'x'));
      const holds = async (key: string, is: '=' | '!=', than: string): Promise<boolean> => {
        const compare: Compare = { key: `${prefix}${key}`, target: 'value', is, than };
        return (await store.transact({ compare: [compare], then: [] }, call)).succeeded;
      };
      t.deepEqual(
        [
          await holds('a', '=', 'x'),
          await holds('a', '=', 'y'),
          await holds('a', '!=', 'x'),
          await holds('a', '!=', 'y'),
        ],
        [true, false, false, true],
      );
      t.deepEqual([await holds('b', '=', ''), await holds('b', '!=', 'x')], [false, false]);
    },
  },
  {
    title: 'every compare must hold',
    run: async (t, store, { prefix }) => {
      const absent: Compare = { key: `${prefix}a`, target: 'create', is: '=', than: 0n };
      const present: Compare = { key: `${prefix}a`, target: 'create', is: '>', than: 0n };
      t.true((await store.transact({ compare: [], then: [] }, call)).succeeded);
      t.true((await store.transact({ compare: [absent, absent], then: [] }, call)).succeeded);
      t.is((await store.transact({ compare: [absent, present], then: [] }, call)).succeeded, false);
    },
  },
  {
    title: 'nested compares see the store as it was before the transaction, nested ranges see the writes before them',
    run: async (t, store, { prefix }) => {
      const key = `${prefix}a`;
      const inner: Operation = {
        type: 'txn',
        compare: [{ key, target: 'create', is: '=', than: 0n }],
        then: [put(`${prefix}b`), { type: 'range', prefix }],
        otherwise: [],
      };
      const response = await apply(store, put(key), inner, { type: 'delete', key: `${prefix}none` });
      const nestedAnswer = answer(response, 1, 'txn');
      t.true(nestedAnswer.succeeded);
      t.is(nestedAnswer.revision, response.revision);
      const [, range] = nestedAnswer.responses;
      t.true(range?.type === 'range');
      if (range?.type !== 'range') return;
      t.deepEqual(
        range.entries.map((entry) => [entry.key, entry.modRevision]),
        [
          [key, response.revision],
          [`${prefix}b`, response.revision],
        ],
      );
      t.is(range.revision, response.revision);
      t.is(answer(response, 2, 'delete').deleted, 0);
    },
  },
  {
    title: 'a key is written once in a transaction',
    run: async (t, store, { prefix }) => {
      const key = `${prefix}a`;
      const remove: Operation = { type: 'delete', key };
      const refused: Readonly<Record<string, readonly Operation[]>> = {
        'put, put': [put(key), put(key)],
        'put, delete': [put(key), remove],
        'delete, put': [remove, put(key)],
        'put, delete of its prefix': [put(key), { type: 'delete', prefix }],
        'put, nested put': [put(key), nested([put(key)])],
        'two nested puts': [nested([put(key)]), nested([put(key)])],
        'nested put, delete': [nested([put(key)]), remove],
        'nested delete, put': [nested([remove]), put(key)],
        'nested delete, nested put': [nested([remove]), nested([put(key)])],
      };
      for (const [title, operations] of Object.entries(refused)) {
        const { reason, outcome } = await failure(apply(store, ...operations));
        t.deepEqual([reason, outcome], ['invalid', 'permanent'], title);
      }
      t.is((await store.range({ prefix }, call)).count, 0);
      const accepted: Readonly<Record<string, readonly Operation[]>> = {
        'two deletes': [remove, remove, { type: 'delete', prefix }],
        'a put in both branches of a nested transaction': [nested([put(key)], [put(key)])],
        'nested put, nested delete': [nested([put(key)]), nested([remove])],
      };
      for (const [title, operations] of Object.entries(accepted)) {
        t.true((await apply(store, ...operations)).succeeded, title);
      }
      t.is((await store.range({ prefix }, call)).count, 0);
      await store.transact({ compare: [], then: [put(key)], otherwise: [put(key)] }, call);
    },
  },
  {
    title: 'a transaction holds 128 operations, of which a nested one has what its parent leaves',
    run: async (t, store, { prefix }) => {
      const puts = (count: number, name: string): readonly Operation[] =>
        Array.from({ length: count }, (_, index) => put(`${prefix}${name}${index}`));
      const parts = (count: number, size: number): readonly Operation[] =>
        Array.from({ length: count }, (_, index) => nested(puts(size, `${index}/`)));
      const compares = (count: number): readonly Compare[] =>
        Array.from({ length: count }, () => ({ key: `${prefix}a`, target: 'create', is: '=', than: 0n }));

      await apply(store, ...puts(128, 'a'));
      await apply(store, ...parts(125, 3));
      await store.transact({ compare: compares(128), then: [] }, call);
      for (const transaction of [
        { compare: [], then: puts(129, 'b') },
        { compare: [], then: parts(126, 3) },
        { compare: compares(129), then: [] },
        { compare: compares(127), then: [nested(puts(2, 'c'))] },
      ]) {
        const { reason, outcome } = await failure(store.transact(transaction, call));
        t.deepEqual([reason, outcome], ['too-large', 'permanent']);
      }
    },
  },
  {
    title: 'a lease that does not exist fails the whole transaction, if its put is on the path that is taken',
    run: async (t, store, { prefix, newLease }) => {
      const onLease = put(`${prefix}a`, 'value', newLease());
      for (const operation of [onLease, nested([onLease])]) {
        const { reason, outcome } = await failure(apply(store, put(`${prefix}b`), operation));
        t.deepEqual([reason, outcome], ['lease-not-found', 'permanent']);
      }
      t.is((await store.range({ prefix }, call)).count, 0);
      await store.transact({ compare: [], then: [put(`${prefix}b`)], otherwise: [onLease] }, call);
      t.is((await store.range({ prefix }, call)).count, 1);
    },
  },
  {
    title: 'a range in a transaction reads the past, but neither the future nor the revision that is being made',
    run: async (t, store, { prefix }) => {
      const key = `${prefix}a`;
      const { revision } = await apply(store, put(key, '1'));
      const past = await apply(store, put(key, '2'), { type: 'range', key, revision });
      t.is(answer(past, 1, 'range').entries[0]?.value, '1');
      for (const ahead of [1n, 100n]) {
        const future = apply(store, put(key, '3'), { type: 'range', key, revision: past.revision + ahead });
        t.is((await failure(future)).reason, 'future-revision');
      }
      t.is((await store.range({ key }, call)).entries[0]?.value, '2');
    },
  },
  {
    title: 'an empty key is refused',
    run: async (t, store) => {
      const compare: Compare = { key: '', target: 'create', is: '=', than: 0n };
      for (const refused of [
        () => apply(store, put('')),
        () => apply(store, { type: 'range', key: '' }),
        () => apply(store, { type: 'delete', key: '' }),
        () => store.transact({ compare: [compare], then: [] }, call),
        () => store.range({ key: '' }, call),
      ]) {
        t.is((await failure(refused())).reason, 'invalid');
      }
    },
  },
  {
    title: 'a request over the limit of 1.5 MiB is refused, and not applied',
    run: async (t, store, { prefix }) => {
      const { reason, outcome } = await failure(apply(store, put(`${prefix}a`, 'x'.repeat(1.5 * 1024 * 1024 + 1))));
      t.deepEqual([reason, outcome], ['too-large', 'permanent']);
      t.is((await store.range({ prefix }, call)).count, 0);
    },
  },
];
