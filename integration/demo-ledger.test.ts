import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { OPENING_BALANCE, type Applied, type Fenced } from '../examples/demo/accounts.ts';
import { LedgerBooks } from '../examples/demo/ledger-books.ts';
import { LedgerAccounts } from '../examples/demo/ledger-client.ts';
import type { Statement } from '../examples/demo/statement.ts';
import { StaleTokenError } from '../lib/errors.ts';

// The demo's ledger is a real process with a real file: what it has seen must survive its death.

const accounts = ['ada', 'ben'];

function touched(token: bigint): Fenced[] {
  return accounts.map((account) => ({ account, token }));
}

function transfer(id: string, token: bigint, worker = 'w1'): Applied {
  const postings = [
    { account: 'ada', token, balance: OPENING_BALANCE - 10 },
    { account: 'ben', token, balance: OPENING_BALANCE + 10 },
  ];
  return { id, from: 'ada', to: 'ben', amount: 10, worker, postings };
}

async function ledgerFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-ledger-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function open(
  folder: string,
  fencing = true,
): Promise<AsyncDisposable & { books: LedgerBooks; ledger: LedgerAccounts }> {
  const books = await LedgerBooks.start({ folder, accounts, fencing });
  /* An attempt that is given up and repeated would be told that it has been applied already. */
  const ledger = new LedgerAccounts(books.address.url, { attemptMs: 60_000 });
  return { books, ledger, [Symbol.asyncDispose]: () => books[Symbol.asyncDispose]() };
}

const stale = { instanceOf: StaleTokenError };

test('a successor that has only read is not overtaken', async (t) => {
  await using opened = await open(await ledgerFolder(t));
  const { ledger, books } = opened;
  await ledger.read(touched(1n));
  await ledger.read(touched(2n));
  const error = await t.throwsAsync(ledger.write(transfer('t-1', 1n)), stale);
  t.like(error, { code: 'STALE_TOKEN', resource: 'ada', token: 1n, highest: 2n });
  await t.throwsAsync(ledger.read(touched(1n)), stale);
  t.deepEqual(await books.history(), []);
  t.is(await ledger.write(transfer('t-1', 2n)), 'applied');
  t.is((await books.find('t-1'))?.postings[0]?.token, 2n);
});

test('one fence out of two is enough to refuse both accounts', async (t) => {
  await using opened = await open(await ledgerFolder(t));
  const { ledger, books } = opened;
  await ledger.read([{ account: 'ben', token: 9n }]);
  await t.throwsAsync(ledger.write(transfer('t-1', 5n)), stale);
  t.deepEqual(await books.balances(), new Map(accounts.map((account) => [account, OPENING_BALANCE])));
});

test('a transfer is applied once, whoever repeats it', async (t) => {
  await using opened = await open(await ledgerFolder(t));
  const { ledger, books } = opened;
  t.is(await ledger.write(transfer('t-1', 1n)), 'applied');
  t.is(await ledger.write(transfer('t-1', 1n)), 'repeated');
  t.is(await ledger.write(transfer('t-1', 2n, 'w2')), 'repeated');
  t.deepEqual(
    (await books.history()).map(({ id, worker }) => [id, worker]),
    [['t-1', 'w1']],
  );
});

test('balances, transfers and fences are those of before, after a kill in the middle of a line', async (t) => {
  const folder = await ledgerFolder(t);
  const before = await open(folder);
  await before.ledger.write(transfer('t-1', 5n));
  await before.ledger.read(touched(7n));
  await before[Symbol.asyncDispose]();
  await appendFile(path.join(folder, 'ledger.ndjson'), '{"applied":{"id":"t-2","fr');

  await using after = await open(folder);
  t.is(await after.ledger.write(transfer('t-1', 7n)), 'repeated');
  await t.throwsAsync(after.ledger.write(transfer('t-2', 6n)), stale);
  t.deepEqual(
    [...(await after.ledger.read(touched(7n)))],
    [
      ['ada', OPENING_BALANCE - 10],
      ['ben', OPENING_BALANCE + 10],
    ],
  );
  t.is(await after.ledger.write(transfer('t-2', 7n)), 'applied');
  t.deepEqual(
    (await after.books.history()).map(({ id }) => id),
    ['t-1', 't-2'],
  );
});

function statement(tick: string, token: bigint, worker = 'w1'): Statement {
  return { worker, tick, attempt: 1, token, transfers: 0, sum: 2 * OPENING_BALANCE };
}

test('a tick is stated once, whoever repeats it, and never by a start that a newer one has overtaken', async (t) => {
  const folder = await ledgerFolder(t);
  const before = await open(folder);
  t.is(await before.ledger.state(statement('T1', 5n)), 'stated');
  t.is(await before.ledger.state(statement('T1', 6n, 'w2')), 'repeated');
  t.deepEqual(await before.ledger.addUp(8n), { transfers: 0, sum: 2 * OPENING_BALANCE });
  await t.throwsAsync(before.ledger.state(statement('T2', 7n)), stale);
  await t.throwsAsync(before.ledger.addUp(7n), stale);
  await before[Symbol.asyncDispose]();

  await using after = await open(folder);
  await t.throwsAsync(after.ledger.state(statement('T2', 7n)), stale);
  t.is(await after.ledger.state(statement('T1', 8n, 'w2')), 'repeated');
  t.is(await after.ledger.write(transfer('t-1', 1n)), 'applied', 'the fence of statements is not that of an account');
  t.deepEqual(await after.ledger.addUp(8n), { transfers: 1, sum: 2 * OPENING_BALANCE });
  t.deepEqual(await after.books.statements(), [statement('T1', 5n)]);
});

test('without fencing a stale token passes', async (t) => {
  await using opened = await open(await ledgerFolder(t), false);
  await opened.ledger.read(touched(2n));
  t.is(await opened.ledger.write(transfer('t-1', 1n)), 'applied');
});
