import { inspect } from 'node:util';
import test from 'ava';
import { StaleTokenError } from '../errors.ts';
import { postgresGuard, type PostgresClient } from './postgres.ts';

const never: PostgresClient = {
  query: () => Promise.reject(new Error('A query was sent')),
};

function answering(...answers: readonly (readonly unknown[])[]): PostgresClient & { readonly sent: unknown[][] } {
  const sent: unknown[][] = [];
  return {
    sent,
    query: (text, values = []) => {
      sent.push([text, ...values]);
      return Promise.resolve({ rows: answers[sent.length - 1] ?? [] });
    },
  };
}

for (const table of ['holdfast_fence', 'app.fence', '_x', 'Mixed_Case1', 'a'.repeat(58)]) {
  test(`the table ${table} is used as written, and quoted`, async (t) => {
    const client = answering();
    await postgresGuard({ table }).migrate(client);
    const quoted = table
      .split('.')
      .map((part) => `"${part}"`)
      .join('.');
    t.is(client.sent[0]?.[1], quoted);
    const created = String(client.sent[1]?.[0]);
    t.true(created.includes(`create table if not exists ${quoted} (`));
    t.true(created.includes(`create table if not exists ${quoted.slice(0, -1)}_done" (`));
  });
}

for (const table of ['', '.', 'a.', 'a.b.c', 'a b', 'a"b', "a'b", 'a;drop', '1a', 'é', 'a'.repeat(59), 42, null]) {
  test(`the table ${inspect(table)} is a TypeError`, (t) => {
    t.throws(() => postgresGuard({ table: table as string }), { instanceOf: TypeError, message: /^Expected table/ });
  });
}

test('migrate creates nothing where there is a table', async (t) => {
  const client = answering([{ found: 1 }]);
  await postgresGuard().migrate(client);
  t.is(client.sent.length, 1);
});

test('a token travels as decimal text, and what is read back is no double', async (t) => {
  const token = 2n ** 60n;
  const client = answering([], [{ token: (token + 1n).toString() }]);
  const error = await t.throwsAsync(postgresGuard().check(client, 'a', token), { instanceOf: StaleTokenError });
  t.is(error?.highest, token + 1n);
  t.deepEqual(client.sent[0]?.slice(1), ['a', '1152921504606846976']);
});

test('a fence that cannot be read refuses', async (t) => {
  await t.throwsAsync(postgresGuard().check(answering(), 'a', 1n), { message: /neither raised nor read/ });
});

for (const token of [2 ** 53, 1, -1n, 0n, 1.5, 2n ** 63n, '', '1', undefined, null] as const) {
  test(`a token that is ${inspect(token)} is a TypeError before any call`, async (t) => {
    const guard = postgresGuard();
    await t.throwsAsync(guard.check(never, 'a', token as bigint), { instanceOf: TypeError });
    const pool = { connect: () => Promise.reject(new Error('A connection was asked for')) };
    await t.throwsAsync(
      guard.transaction(pool, 'a', token as bigint, () => undefined),
      { instanceOf: TypeError },
    );
  });
}

test('a check where it cannot hold the row is a TypeError', async (t) => {
  const guard = postgresGuard();
  await t.throwsAsync(guard.check({ ...never, totalCount: 0 } as PostgresClient, 'a', 1n), { message: /got a pool/ });
  const idle = { ...never, getTransactionStatus: () => 'I' };
  await t.throwsAsync(guard.check(idle, 'a', 1n), { message: /inside a transaction/ });
  await t.throwsAsync(guard.check({} as PostgresClient, 'a', 1n), { instanceOf: TypeError, message: /method query/ });
});

for (const [title, override, message] of [
  ['a client for a pool', { pool: { connect: () => Promise.reject(new Error('x')), processID: 1 } }, /^Expected pool/],
  ['a misspelt option', { options: { deadline: 1 } }, /"deadline"/],
  ['a deadline of 0', { options: { deadlineMs: 0 } }, /deadlineMs/],
  ['a deadline of NaN', { options: { deadlineMs: Number.NaN } }, /deadlineMs/],
  ['an isolation level that is none', { options: { isolation: 'read uncommitted; drop' } }, /isolation/],
  ['a holder without remainingMs', { options: { held: {} } }, /held\.remainingMs/],
  ['a signal that is none', { options: { signal: {} } }, /signal/],
  ['work that is no function', { work: 'select 1' }, /\bwork\b/],
  ['an empty resource', { resource: '' }, /^Expected resource/],
] as const) {
  test(`${title} is refused before any call`, async (t) => {
    const given = {
      pool: { connect: () => Promise.reject(new Error('A connection was asked for')) },
      resource: 'a',
      work: () => undefined,
      options: {},
      ...override,
    };
    const call = postgresGuard().transaction(
      given.pool,
      given.resource,
      1n,
      given.work as () => undefined,
      given.options as object,
    );
    const error = await t.throwsAsync(call, { message });
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}
