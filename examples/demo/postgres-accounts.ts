/**
 * The accounts in PostgreSQL, under holdfast's guard. The demo has a schema of its own and drops it in the end.
 *
 * A worker thinks between its read and its write, and no transaction should stay open that long. So these are two, and the first one
 * commits: what it read is used later, and its raised fence must be there by then.
 */
import { randomBytes } from 'node:crypto';
import { postgresGuard, type PostgresGuard } from 'holdfast/guards/postgres';
import { Pool, type PoolClient } from 'pg';
import {
  OPENING_BALANCE,
  type Accounts,
  type AccountsAddress,
  type Applied,
  type Books,
  type Fenced,
} from './accounts.ts';
import { appliedFromWire, statementFromWire, tokenToWire, type Wire } from './ledger-file.ts';
import { STATEMENT_FENCE, type Statement, type Statements, type Total } from './statement.ts';

type PostgresAddress = Extract<AccountsAddress, { kind: 'postgres' }>;

export class PostgresAccounts implements Accounts, Statements {
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #guard: PostgresGuard | undefined;

  constructor({ url, schema, fencing }: PostgresAddress) {
    this.#pool = poolOf(url, 2);
    this.#schema = schema;
    this.#guard = fencing ? postgresGuard({ table: `${schema}.fence` }) : undefined;
  }

  read(touched: readonly Fenced[]): Promise<ReadonlyMap<string, number>> {
    return this.#guarded(touched, async (tx) => {
      const { rows } = await tx.query<{ account: string; balance: string }>(
        `select account, balance::text from ${this.#schema}.accounts where account = any($1)`,
        [touched.map(({ account }) => account)],
      );
      return new Map(rows.map(({ account, balance }) => [account, Number(balance)]));
    });
  }

  write(applied: Applied): Promise<'applied' | 'repeated'> {
    const { id, postings } = applied;
    return this.#guarded(postings, async (tx) => {
      const record = JSON.stringify({ ...applied, postings: postings.map(tokenToWire) });
      const inserted = await tx.query(
        `insert into ${this.#schema}.transfers (id, record) values ($1, $2) on conflict (id) do nothing returning id`,
        [id, record],
      );
      if (inserted.rows.length === 0) return 'repeated';
      for (const { account, balance } of postings) {
        await tx.query(`update ${this.#schema}.accounts set balance = $2 where account = $1`, [account, balance]);
      }
      return 'applied';
    });
  }

  addUp(token: bigint): Promise<Total> {
    return this.#guarded([{ account: STATEMENT_FENCE, token }], async (tx) => {
      /* One query, so both numbers are of the same moment. */
      const { rows } = await tx.query<{ transfers: number; sum: string }>(
        `select (select count(*)::int from ${this.#schema}.transfers) as transfers,
                (select sum(balance)::text from ${this.#schema}.accounts) as sum`,
      );
      return { transfers: rows[0]?.transfers ?? 0, sum: Number(rows[0]?.sum) };
    });
  }

  state(statement: Statement): Promise<'stated' | 'repeated'> {
    const { tick, token } = statement;
    return this.#guarded([{ account: STATEMENT_FENCE, token }], async (tx) => {
      const inserted = await tx.query(
        `insert into ${this.#schema}.statements (tick, record) values ($1, $2) on conflict (tick) do nothing returning tick`,
        [tick, JSON.stringify(tokenToWire(statement))],
      );
      return inserted.rows.length === 0 ? 'repeated' : 'stated';
    });
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  /**
   * One transaction under the fences of both accounts, taken in the order of their names, so that a holder and one who wrongly
   * believes to be it never wait for each other in a circle. The locks' validity could be given along as `held`, and a program
   * should: a late transaction is then not even begun. Here it is left out, so that the fence is what refuses, as it must where a
   * pause falls a moment later.
   */
  async #guarded<T>(touched: readonly Fenced[], work: (tx: PoolClient) => Promise<T>): Promise<T> {
    const [first, ...rest] = touched.toSorted((one, other) => (one.account < other.account ? -1 : 1));
    if (first === undefined) throw new TypeError('Expected at least one account');
    const guard = this.#guard;
    if (guard === undefined) return inTransaction(this.#pool, work);
    return guard.transaction(
      this.#pool,
      first.account,
      first.token,
      async (tx) => {
        for (const { account, token } of rest) await guard.check(tx, account, token);
        return work(tx);
      },
      { deadlineMs: 5_000 },
    );
  }
}

/** The demo's own view, and the life of the schema. */
export class PostgresBooks implements Books {
  readonly address: PostgresAddress;
  readonly #pool: Pool;

  private constructor(pool: Pool, address: PostgresAddress) {
    this.#pool = pool;
    this.address = address;
  }

  static async open(url: string, accounts: readonly string[], fencing: boolean): Promise<PostgresBooks> {
    const schema = `holdfast_demo_${randomBytes(4).toString('hex')}`;
    const books = new PostgresBooks(poolOf(url, 2), { kind: 'postgres', url, schema, fencing });
    try {
      await books.#create(accounts);
      return books;
    } catch (error) {
      await books[Symbol.asyncDispose]().catch(() => undefined);
      throw error;
    }
  }

  async find(id: string): Promise<Applied | undefined> {
    return (await this.#records('where id = $1', [id]))[0];
  }

  history(): Promise<readonly Applied[]> {
    return this.#records('order by place', []);
  }

  async balances(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.#pool.query<{ account: string; balance: string }>(
      `select account, balance::text from ${this.address.schema}.accounts`,
    );
    return new Map(rows.map(({ account, balance }) => [account, Number(balance)]));
  }

  async statements(): Promise<readonly Statement[]> {
    const { rows } = await this.#pool.query<{ record: Wire<Statement> }>(
      `select record from ${this.address.schema}.statements order by place`,
    );
    return rows.map(({ record }) => statementFromWire(record));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#pool.query(`drop schema if exists ${this.address.schema} cascade`);
    } finally {
      await this.#pool.end();
    }
  }

  async #create(accounts: readonly string[]): Promise<void> {
    const { schema } = this.address;
    /* `place` orders the transfers of an account as they were applied, since the fence's row is locked from check to commit. */
    await this.#pool.query(
      `create schema ${schema};
       create table ${schema}.accounts (account text primary key, balance bigint not null);
       create table ${schema}.transfers (place bigserial, id text primary key, record jsonb not null);
       create table ${schema}.statements (place bigserial, tick text primary key, record jsonb not null)`,
    );
    await this.#pool.query(`insert into ${schema}.accounts select unnest($1::text[]), $2::bigint`, [
      accounts,
      OPENING_BALANCE,
    ]);
    await postgresGuard({ table: `${schema}.fence` }).migrate(this.#pool);
  }

  async #records(which: string, values: readonly unknown[]): Promise<Applied[]> {
    const { rows } = await this.#pool.query<{ record: Wire<Applied> }>(
      `select record from ${this.address.schema}.transfers ${which}`,
      [...values],
    );
    return rows.map(({ record }) => appliedFromWire(record));
  }
}

function poolOf(url: string, max: number): Pool {
  const pool = new Pool({ connectionString: url, max, connectionTimeoutMillis: 5_000 });
  /* An idle connection that ends is replaced by the next query; without a listener it would end the process. */
  pool.on('error', () => undefined);
  return pool;
}

/** What a program without fencing does. */
async function inTransaction<T>(pool: Pool, work: (tx: PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect();
  try {
    await tx.query('begin');
    const result = await work(tx);
    await tx.query('commit');
    tx.release();
    return result;
  } catch (error) {
    tx.release(true);
    throw error;
  }
}
