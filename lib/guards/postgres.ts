/**
 * A guard in PostgreSQL: one row for each resource, in the database whose rows it protects.
 *
 * Guarantees
 * - What commits after a check with token T commits in a database that had seen no token greater than T before, and sees none until
 *   the transaction ends: the check takes the row's lock, so guarded transactions on one resource follow each other.
 * - A transaction reads only what its predecessors on the resource had committed: no update is lost between two guarded ones.
 * - A holder that is paused with an open transaction blocks its successor no longer than its own time limit.
 *
 * Not guaranteed
 * - Transactions that do not check. The guard is a convention of those who use it, not a trigger.
 * - What a transaction read before its check, and what a transaction read that was rolled back: see below.
 * - A failover to a replica that lacks the last commits (asynchronous replication, `synchronous_commit = off`) forgets their tokens
 *   along with their writes.
 *
 * The protocol of `transaction`
 * 1. Begin, with time limits that PostgreSQL itself enforces: postgres-transaction.ts.
 * 2. Check, before the first read. An older holder is refused from here on, though nothing was written yet.
 * 3. Work.
 * 4. Commit, which makes the raised token durable together with the writes.
 *
 * Why it is correct, by isolation level. READ COMMITTED: the row's lock is granted once the predecessor's transaction has ended, and
 * every later statement takes its snapshot after that, so it sees what the predecessor wrote. REPEATABLE READ and SERIALIZABLE: the
 * snapshot is older than the lock, but then a predecessor that committed in between has changed the row, and PostgreSQL answers with
 * a serialization failure (40001) rather than accept. These two fail more often under contention and are no safer for one resource.
 *
 * Why a rollback may undo the raise. A (token 1) reads, B (token 2) checks, reads and rolls back, A writes: accepted, and harmless, as
 * B wrote nothing. It would do harm if B used in a second transaction what it had read in the first. So a read-modify-write belongs
 * into one transaction, or its reading transaction has to commit, too.
 *
 * @packageDocumentation
 */

import { expectDuration, expectFunction, expectGivenOptions, expectOptions, expectSignal, show } from '../arguments.ts';
import { LimitExceededError, StaleTokenError } from '../errors.ts';
import { expectToken } from '../queue/token.ts';
import { abortable } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import type { PostgresClient, PostgresPool, PostgresPoolClient } from './postgres-client.ts';
import { isIsolation, runTransaction, type Isolation, type TransactionHolder } from './postgres-transaction.ts';
import { expectResource } from './resource.ts';

export type { PostgresClient, PostgresPool, PostgresPoolClient, Isolation, TransactionHolder };

/** Where the fences are. */
export interface PostgresGuardOptions {
  /**
   * The table of the fences, as written by {@link PostgresGuard.migrate}: a plain name, or one with its schema (`app.fence`). Case
   * counts. Give the schema if not all processes have the same `search_path`, or they will use different fences.
   * @default 'holdfast_fence'
   */
  readonly table?: string | undefined;
}

/** Of a call that has nothing else to be told. */
export interface CheckOptions {
  /** Ends the waiting, with `signal.reason`. What was sent may still be carried out. */
  readonly signal?: AbortSignal | undefined;
}

/** Of a guarded transaction: for how long, how isolated, and how often. */
export interface GuardedTransactionOptions {
  /**
   * What the token came from, such as a held lock: the transaction ends no later than its validity, and with its signal.
   * @default only `deadlineMs` and `signal` bound the transaction; the token still decides
   */
  readonly held?: TransactionHolder | undefined;
  /**
   * Milliseconds for the whole call, the wait for a connection and for the row included. It is also how long a paused holder may
   * block its successors.
   * @default 15_000
   */
  readonly deadlineMs?: number | undefined;
  /**
   * PostgreSQL's level. The others fail more often under contention, with 40001, and are no safer for one resource.
   * @default 'read committed'
   */
  readonly isolation?: Isolation | undefined;
  /**
   * A name of this piece of work on this resource, of 1 to 1,024 bytes, the same for each attempt at it. It is written down in the same
   * transaction, with the result, which has to be JSON of at most 64 KiB: who comes with it again gets that result, and the work
   * is not done again. So an OutcomeUnknownError can be answered by another attempt.
   * @default the work is done each time
   */
  readonly idempotencyKey?: string | undefined;
  /** Ends the transaction: it is rolled back, unless COMMIT was sent. */
  readonly signal?: AbortSignal | undefined;
}

/** Which work to forget. */
export interface ForgetOptions extends CheckOptions {
  /** How long ago the work was done at least, in milliseconds by PostgreSQL's clock. Longer than anybody would repeat anything. */
  readonly olderThanMs: number;
}

/** The client that a pool gives out. The first form is pg's, whose `connect` also takes a callback. */
export type ClientOf<Pool> = Pool extends { connect(): Promise<infer Client>; connect(callback: never): unknown }
  ? Client
  : Pool extends { connect(): Promise<infer Client> }
    ? Client
    : never;

/** The greatest token seen of each resource, in a table beside what it protects. */
export interface PostgresGuard {
  /** Creates the table if there is none. May run in every process at its start, also in many at once. */
  migrate(pool: PostgresClient, options?: CheckOptions): Promise<void>;

  /**
   * One statement in the caller's own transaction: accepts a token equal to or greater than the greatest seen and raises it, and
   * keeps the row locked until the transaction ends. Call it before the first read. Rejects with a StaleTokenError for a smaller
   * token; roll back then. Set `idle_in_transaction_session_timeout` in such a transaction, or a paused holder blocks its successors.
   */
  check(tx: PostgresClient, resource: string, token: bigint, options?: CheckOptions): Promise<void>;

  /**
   * Runs `work` in a transaction that has checked the token first, and resolves with its result once that is committed. `work` gets
   * the client and a signal, which aborts when time is up, the holder is lost or the connection is gone; it must neither commit nor
   * roll back itself.
   *
   * Rejects with what `work` threw, a StaleTokenError, PostgreSQL's own error (55P03: the row stayed locked; 40001: try again), a
   * CoordinationUnavailableError (no answer in time or no connection) or a LockLostError: each of these after a rollback, with
   * nothing written. Rejects with an OutcomeUnknownError if COMMIT was sent and not answered: it may have been applied. With an
   * `idempotencyKey` the same call again tells.
   */
  transaction<Pool extends PostgresPool, Result>(
    pool: Pool,
    resource: string,
    token: bigint,
    work: (tx: ClientOf<Pool>, context: { readonly signal: AbortSignal }) => Promise<Result> | Result,
    options?: GuardedTransactionOptions,
  ): Promise<Result>;

  /** Forgets work with an idempotency key that was done longer ago than that. Resolves to how many were forgotten. */
  forget(pool: PostgresClient, options: ForgetOptions): Promise<number>;
}

/** About the TTL of a session: longer than that, the holder would have to renew in any case. */
const DEFAULT_DEADLINE_MS = 15_000;

/** A guard on a table, which {@link PostgresGuard.migrate} makes. No I/O. Throws a TypeError for what cannot be a table's name. */
export function postgresGuard(options: PostgresGuardOptions = {}): PostgresGuard {
  expectOptions('postgresGuard', options, ['table']);
  const { table: name = 'holdfast_fence' } = options;
  const table = quoteTable(name);
  const statements = statementsFor(table);

  const guard: PostgresGuard = {
    async migrate(pool, { signal } = {}) {
      expectClient('pool', pool);
      expectSignal(signal)?.throwIfAborted();
      // Creating a table needs a right that a service may lack, even where the table exists already: so look first.
      const found = await abortable(pool.query(statements.isThere, [table, doneTable(table)]), signal);
      if (found.rows.length > 0) return;
      await abortable(pool.query(statements.create), signal);
    },

    async check(tx, resource, token, { signal } = {}) {
      expectResource(resource);
      expectToken(token);
      expectClient('tx', tx);
      expectTransaction(tx);
      expectSignal(signal)?.throwIfAborted();
      const raised = await abortable(tx.query(statements.raise, [resource, token.toString()]), signal);
      if (raised.rows.length > 0) return;
      const seen = await abortable(tx.query(statements.read, [resource]), signal);
      const highest = (seen.rows[0] as { token: string } | undefined)?.token;
      if (highest === undefined)
        throw new Error(`The fence of ${show(resource)} in ${table} can be neither raised nor read`);
      throw new StaleTokenError({ resource, token, highest: BigInt(highest) });
    },

    async transaction(pool, resource, token, work, options = {}) {
      expectPool(pool);
      expectResource(resource);
      expectToken(token);
      expectFunction('work', work);
      expectOptions('transaction', options, ['held', 'deadlineMs', 'isolation', 'idempotencyKey', 'signal']);
      const { held, deadlineMs = DEFAULT_DEADLINE_MS, isolation = 'read committed', signal } = options;
      const { idempotencyKey } = options;
      if (idempotencyKey !== undefined) expectResource(idempotencyKey, 'idempotencyKey');
      expectDuration('deadlineMs', deadlineMs, 1);
      expectSignal(signal);
      if (!isIsolation(isolation))
        throw new TypeError(`Expected an isolation level of PostgreSQL, got ${show(isolation)}`);
      if (held !== undefined) expectFunction('held.remainingMs', Reflect.get(held, 'remainingMs'));

      return await runTransaction(
        systemClock,
        pool,
        async (tx, context) => {
          await guard.check(tx, resource, token, context);
          const act = async () => work(tx as ClientOf<typeof pool>, context);
          return idempotencyKey === undefined ? act() : once(tx, resource, idempotencyKey, act);
        },
        { held, deadlineMs, isolation, signal },
      );
    },

    async forget(pool, options) {
      expectClient('pool', pool);
      expectGivenOptions('forget', options, ['olderThanMs', 'signal']);
      const { olderThanMs, signal } = options;
      expectDuration('olderThanMs', olderThanMs);
      expectSignal(signal)?.throwIfAborted();
      const { rows } = await abortable(pool.query(statements.forget, [olderThanMs]), signal);
      return Number((rows[0] as { count: string } | undefined)?.count ?? 0);
    },
  };

  /** Under the lock of the fence's row, so nobody else is at the same work. */
  async function once<Result>(
    tx: PostgresClient,
    resource: string,
    key: string,
    act: () => Promise<Result>,
  ): Promise<Result> {
    // What stood in the way of the first statement can be forgotten before the second one reads it.
    while ((await tx.query(statements.begin, [resource, key])).rows.length === 0) {
      const done = await tx.query(statements.done, [resource, key]);
      const [row] = done.rows as { readonly result: string | null }[];
      if (row !== undefined) return (row.result === null ? undefined : JSON.parse(row.result)) as Result;
    }
    const result = await act();
    const text = result === undefined ? null : JSON.stringify(result);
    if (text !== null && Buffer.byteLength(text) > MAX_RESULT_BYTES) {
      throw new LimitExceededError(
        `The result of ${show(key)} has more than ${MAX_RESULT_BYTES} bytes, and is to be written down. Nothing was written.`,
      );
    }
    await tx.query(statements.finish, [resource, key, text]);
    return result;
  }

  return guard;
}

/**
 * The token travels as decimal text in both directions: a driver may turn a bigint column into a double. The names of resources are
 * compared byte by byte ("C"), so that an update of the system's collations cannot damage the index and give a resource two rows.
 */
function statementsFor(table: string): Readonly<Record<Statement, string>> {
  const done = doneTable(table);
  return {
    isThere: 'select 1 where to_regclass($1) is not null and to_regclass($2) is not null',
    // One simple query is one transaction. The lock is there because "if not exists" alone fails when two create at once.
    create: `select pg_advisory_xact_lock(hashtextextended('holdfast ${table}', 0));
      create table if not exists ${table} (
        resource text collate "C" primary key,
        token bigint not null check (token > 0),
        raised_at timestamptz not null default now()
      );
      create table if not exists ${done} (
        resource text collate "C",
        key text collate "C",
        result text,
        done_at timestamptz not null default now(),
        primary key (resource, key)
      )`,
    raise: `insert into ${table} as fence (resource, token) values ($1::text, $2::bigint)
      on conflict (resource) do update set token = excluded.token, raised_at = now()
      where excluded.token >= fence.token
      returning fence.token::text as token`,
    read: `select token::text as token from ${table} where resource = $1::text`,
    begin: `insert into ${done} (resource, key) values ($1::text, $2::text) on conflict do nothing returning key`,
    done: `select result from ${done} where resource = $1::text and key = $2::text`,
    finish: `update ${done} set result = $3::text where resource = $1::text and key = $2::text`,
    forget: `with gone as (
        delete from ${done} where done_at < now() - $1::double precision * interval '1 millisecond' returning 1
      ) select count(*)::text as count from gone`,
  };
}

/** Of the table of fences, quoted as that is: where work with an idempotency key is written down. */
function doneTable(table: string): string {
  return `${table.slice(0, -1)}_done"`;
}

type Statement = 'isThere' | 'create' | 'raise' | 'read' | 'begin' | 'done' | 'finish' | 'forget';

const MAX_RESULT_BYTES = 64 * 1_024;

/** PostgreSQL cuts names of more than 63 silently, and two guards would share one table; `_done` is added to one. */
const MAX_IDENTIFIER_LENGTH = 58;

function quoteTable(table: string): string {
  const parts = typeof table === 'string' ? table.split('.') : [];
  const isPlain = parts.every((part) => /^[A-Za-z_][A-Za-z0-9_$]*$/.test(part) && part.length <= MAX_IDENTIFIER_LENGTH);
  if (parts.length < 1 || parts.length > 2 || !isPlain) {
    throw new TypeError(
      `Expected table to be a name such as "holdfast_fence" or "app.holdfast_fence", of plain letters, digits and _ and at most ${MAX_IDENTIFIER_LENGTH} long, got ${show(table)}`,
    );
  }
  return parts.map((part) => `"${part}"`).join('.');
}

function expectClient(option: string, client: PostgresClient): void {
  if (typeof client?.query !== 'function') {
    throw new TypeError(`Expected ${option} to have a method query, as pg's Client and Pool, got ${show(client)}`);
  }
}

/** A check outside a transaction would not hold the row while the caller writes: refuse what can be recognised as that. */
function expectTransaction(tx: PostgresClient): void {
  if ('totalCount' in tx) {
    throw new TypeError(
      'Expected tx to be the client of a transaction, got a pool, which may use another connection for each query',
    );
  }
  if (tx.getTransactionStatus?.() === 'I') {
    throw new TypeError('Expected tx to be inside a transaction: await its BEGIN first, or use transaction()');
  }
}

function expectPool(pool: PostgresPool): void {
  if (typeof pool?.connect !== 'function' || 'release' in pool || 'processID' in pool) {
    throw new TypeError(
      `Expected pool to be a pool as pg's Pool, whose connect() gives a client of its own, got ${show(pool)}`,
    );
  }
}
