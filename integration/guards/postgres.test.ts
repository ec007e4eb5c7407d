import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Pool, type PoolClient } from 'pg';
import {
  CoordinationUnavailableError,
  LimitExceededError,
  OutcomeUnknownError,
  StaleTokenError,
} from '../../lib/errors.ts';
import { postgresGuard } from '../../lib/guards/postgres.ts';
import { until } from '../lock/support/until.ts';
import { PostgresServer } from '../servers/postgres-server.ts';
import { killAtExit } from '../servers/server-process.ts';
import { SilentProxy } from './silent-proxy.ts';

let server: PostgresServer;
let pool: Pool;
const guard = postgresGuard();

test.before(async () => {
  server = await PostgresServer.start();
  pool = new Pool({ connectionString: server.connectionString, max: 30 });
  await guard.migrate(pool);
  await pool.query('create table counters (name text primary key, count int not null, writer text)');
});

test.after.always(async () => {
  await pool?.end();
  await server?.[Symbol.asyncDispose]();
});

async function newCounter(name: string): Promise<void> {
  await pool.query('insert into counters values ($1, 0)', [name]);
}

async function countOf(name: string, client: Pool | PoolClient = pool): Promise<number> {
  const { rows } = await client.query<{ count: number }>('select count from counters where name = $1', [name]);
  return rows[0]?.count ?? Number.NaN;
}

async function setCount(client: PoolClient, name: string, count: number): Promise<void> {
  await client.query('update counters set count = $2 where name = $1', [name, count]);
}

async function fenceOf(resource: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ token: string }>('select token from holdfast_fence where resource = $1', [
    resource,
  ]);
  return rows[0]?.token;
}

// The tests that measure time are serial: ava runs those first, one after the other.

/** A transaction of the caller's own. */
async function inTransaction<T>(work: (tx: PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect();
  try {
    await tx.query('begin');
    const result = await work(tx);
    await tx.query('commit');
    return result;
  } catch (error) {
    await tx.query('rollback');
    throw error;
  } finally {
    tx.release();
  }
}

test('many processes may migrate at once, and again, and a user without rights may where the table exists', async (t) => {
  await pool.query('create schema app');
  const guards = Array.from({ length: 20 }, () => postgresGuard({ table: 'app.fence' }));
  await Promise.all(guards.map((guard) => guard.migrate(pool)));
  await guards[0]?.migrate(pool);

  await pool.query('create role service login; grant usage on schema app to service');
  await pool.query('grant select, insert, update on app.fence to service');
  const service = new Pool({ connectionString: server.connectionString.replace('postgres@', 'service@') });
  const table = postgresGuard({ table: 'app.fence' });
  await t.notThrowsAsync(table.migrate(service));
  await table.transaction(service, 'a', 1n, () => undefined);
  await service.end();
});

test('a lost update is prevented: the successor that has only read is not overtaken', async (t) => {
  await newCounter('lost');
  const readByOlder = await guard.transaction(pool, 'lost', 1n, (tx) => countOf('lost', tx));
  const readByNewer = await guard.transaction(pool, 'lost', 2n, (tx) => countOf('lost', tx));

  const write = guard.transaction(pool, 'lost', 1n, (tx) => setCount(tx, 'lost', readByOlder + 1));
  t.like(await t.throwsAsync(write, { instanceOf: StaleTokenError }), { resource: 'lost', token: 1n, highest: 2n });
  await guard.transaction(pool, 'lost', 2n, (tx) => setCount(tx, 'lost', readByNewer + 1));
  t.is(await countOf('lost'), 1);
});

test('an older holder is refused when a newer one has committed inside its open transaction', async (t) => {
  await newCounter('open');
  const attempt = inTransaction(async (tx) => {
    await countOf('open', tx);
    await guard.transaction(pool, 'open', 2n, (newer) => setCount(newer, 'open', 20));
    await guard.check(tx, 'open', 1n);
    await setCount(tx, 'open', 10);
  });
  await t.throwsAsync(attempt, { instanceOf: StaleTokenError });
  t.is(await countOf('open'), 20);
});

for (const isolation of ['read committed', 'repeatable read', 'serializable'] as const) {
  test(`no update is lost between guarded transactions in ${isolation}`, async (t) => {
    const name = `isolation ${isolation}`;
    await newCounter(name);
    let retries = 0;
    const increment = async (token: bigint): Promise<void> => {
      try {
        const work = async (tx: PoolClient): Promise<void> => setCount(tx, name, (await countOf(name, tx)) + 1);
        await guard.transaction(pool, name, token, work, { isolation });
      } catch (error) {
        if ((error as { code?: string }).code !== '40001') throw error;
        retries += 1;
        await increment(token);
      }
    };
    await Promise.all(Array.from({ length: 15 }, () => increment(7n)));
    t.is(await countOf(name), 15);
    t.log(`${retries} serialization failures`);
    if (isolation === 'read committed') t.is(retries, 0);
  });
}

test('work with an idempotency key is done once, whoever comes with it again, and its result is remembered', async (t) => {
  await newCounter('once');
  let done = 0;
  const attempt = (token: bigint, idempotencyKey: string) =>
    guard.transaction(
      pool,
      'once',
      token,
      async (tx) => {
        done += 1;
        const count = (await countOf('once', tx)) + 1;
        await setCount(tx, 'once', count);
        return { count };
      },
      { idempotencyKey },
    );
  const all = await Promise.all(Array.from({ length: 8 }, () => attempt(7n, 'pay 42')));
  t.deepEqual(
    all,
    Array.from({ length: 8 }, () => ({ count: 1 })),
  );
  t.is(done, 1);
  t.deepEqual(await attempt(8n, 'pay 42'), { count: 1 }, 'a later holder takes it up');
  t.deepEqual(await attempt(8n, 'pay 43'), { count: 2 });
  await t.throwsAsync(attempt(7n, 'pay 42'), { instanceOf: StaleTokenError }, 'the token decides first');
});

test('work that is forgotten is done again, also when it is forgotten while somebody repeats it', async (t) => {
  const own = postgresGuard({ table: 'forgetful' });
  await own.migrate(pool);
  let done = 0;
  const attempt = async (beforeReading = async (): Promise<unknown> => undefined) => {
    const single = new Pool({ connectionString: server.connectionString, max: 1 });
    single.on('connect', (client) => before(client, /^select result from/, beforeReading));
    const key = { idempotencyKey: 'pay 42' };
    try {
      return await own.transaction(single, 'once', 1n, () => (done += 1), key);
    } finally {
      await single.end();
    }
  };
  t.is(await attempt(), 1);
  t.is(await own.forget(pool, { olderThanMs: 60_000 }), 0);
  t.is(await attempt(), 1);
  t.is(await own.forget(pool, { olderThanMs: 0 }), 1);
  t.is(await attempt(), 2);
  let forgotten: number | undefined;
  const forgetOnce = async () => (forgotten ??= await own.forget(pool, { olderThanMs: 0 }));
  t.is(await attempt(forgetOnce), 3);
  t.is(forgotten, 1);
  t.is(await attempt(), 3);
});

/** Something else happens before some statements of a client. */
function before(client: PoolClient, statements: RegExp, act: () => Promise<unknown>): void {
  const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<unknown>;
  Object.assign(client, {
    query: async (text: string, values?: unknown[]) => {
      if (statements.test(text)) await act();
      return query(text, values);
    },
  });
}

test('work that fails leaves its key free, and one that returns nothing is remembered, too', async (t) => {
  const attempt = (work: () => unknown) =>
    guard.transaction(pool, 'fails', 1n, async () => work(), { idempotencyKey: 'a' });
  await t.throwsAsync(
    attempt(() => {
      throw new Error('not today');
    }),
    { message: 'not today' },
  );
  await t.throwsAsync(
    attempt(() => 'x'.repeat(70_000)),
    { instanceOf: LimitExceededError },
  );
  t.is(await attempt(() => undefined), undefined);
  t.is(await attempt(() => t.fail('it is done again')), undefined);
});

test('tokens presented from many connections: what is accepted never decreases, and the greatest stays', async (t) => {
  await pool.query('create table accepted (id serial, token bigint)');
  const base = 2n ** 60n;
  const offsets = Array.from({ length: 200 }, (_, index) => BigInt((index * 7919) % 200));
  const outcomes = await Promise.allSettled(
    offsets.map((offset) =>
      guard.transaction(pool, 'many', base + offset, (tx) =>
        tx.query('insert into accepted (token) values ($1)', [(base + offset).toString()]),
      ),
    ),
  );
  const { rows } = await pool.query<{ token: string }>('select token from accepted order by id');
  const accepted = rows.map(({ token }) => BigInt(token));
  t.deepEqual(
    accepted,
    accepted.toSorted((a, b) => (a < b ? -1 : 1)),
  );
  t.is(await fenceOf('many'), (base + 199n).toString());
  for (const outcome of outcomes) {
    t.true(outcome.status === 'fulfilled' || outcome.reason instanceof StaleTokenError);
  }
  t.is(accepted.length, outcomes.filter(({ status }) => status === 'fulfilled').length);
});

test('equal tokens pass; tokens that round to the same double are told apart', async (t) => {
  const token = 2n ** 60n + 1n;
  await guard.transaction(pool, 'rounding', token, () => undefined);
  await guard.transaction(pool, 'rounding', token, () => undefined);
  const error = await t.throwsAsync(
    guard.transaction(pool, 'rounding', token - 1n, () => undefined),
    {
      instanceOf: StaleTokenError,
    },
  );
  t.is(error?.highest, token);
  await guard.transaction(pool, 'rounding', 2n ** 63n - 1n, () => undefined);
  t.is(await fenceOf('rounding'), '9223372036854775807');
});

test('resources that differ in case, accents or a trailing space have fences of their own', async (t) => {
  const names = ['a', 'A', 'á', 'a ', 'a/b', '🔒', 'é'.repeat(512)];
  for (const [index, name] of names.entries()) {
    await guard.transaction(pool, `names ${name}`.slice(0, 500), BigInt(names.length - index), () => undefined);
  }
  t.is(await fenceOf('names a'), '7');
});

test('a rollback takes the raise back, and with it everything that was written', async (t) => {
  await newCounter('rollback');
  const failed = guard.transaction(pool, 'rollback', 2n, async (tx) => {
    await setCount(tx, 'rollback', 5);
    throw new RangeError('no');
  });
  await t.throwsAsync(failed, { instanceOf: RangeError });
  t.is(await fenceOf('rollback'), undefined);
  await t.notThrowsAsync(guard.transaction(pool, 'rollback', 1n, () => undefined));
  t.is(await countOf('rollback'), 0);
});

test('a statement that failed fails the transaction, also if the work looks away', async (t) => {
  await newCounter('looked away');
  const call = guard.transaction(pool, 'looked away', 1n, async (tx) => {
    await setCount(tx, 'looked away', 5);
    await tx.query('select 1 / 0').catch(() => undefined);
  });
  await t.throwsAsync(call, { code: '25P02' });
  t.is(await countOf('looked away'), 0);
});

test('work that commits by itself does not pass for guarded', async (t) => {
  const call = guard.transaction(pool, 'own commit', 1n, (tx) => tx.query('commit'));
  await t.throwsAsync(call, { instanceOf: OutcomeUnknownError });
});

test('a deferred constraint that fails at COMMIT is its own error, not an unknown outcome', async (t) => {
  await pool.query('create table deferred (id int unique deferrable initially deferred)');
  const call = guard.transaction(pool, 'deferred', 1n, (tx) => tx.query('insert into deferred values (1), (1)'));
  await t.throwsAsync(call, { code: '23505' });
});

test('a check outside a transaction is refused, since nothing would hold the row', async (t) => {
  const client = await pool.connect();
  await client.query('select 1');
  await t.throwsAsync(guard.check(client, 'autocommit', 1n), { instanceOf: TypeError });
  client.release();
  await t.throwsAsync(guard.check(pool, 'autocommit', 1n), { instanceOf: TypeError });
});

test.serial('a successor that waits for the row sees what its predecessor wrote', async (t) => {
  await newCounter('waits');
  const steps = new EventEmitter();
  const predecessor = guard.transaction(pool, 'waits', 1n, async (tx) => {
    steps.emit('locked');
    await until('a successor that waits', async () => {
      const { rowCount } = await pool.query('select from pg_locks where not granted');
      return rowCount === 1;
    });
    await setCount(tx, 'waits', 41);
  });
  await once(steps, 'locked');
  const seen = await guard.transaction(pool, 'waits', 2n, (tx) => countOf('waits', tx));
  await predecessor;
  t.is(seen, 41);
});

test.serial('a row that stays locked ends the wait at the deadline, and the next one passes', async (t) => {
  const steps = new EventEmitter();
  const older = guard.transaction(pool, 'locked', 1n, async () => {
    steps.emit('locked');
    await once(steps, 'refused');
  });
  await once(steps, 'locked');
  await t.throwsAsync(guard.transaction(pool, 'locked', 2n, () => undefined, { deadlineMs: 300 }));
  steps.emit('refused');
  await older;
  await t.notThrowsAsync(guard.transaction(pool, 'locked', 2n, () => undefined));
});

for (const [mode, version] of [
  ['idle', '17 or later'],
  ['idle', 'before 17'],
  ['reading', '17 or later'],
  ['reading', 'before 17'],
] as const) {
  test.serial(`a holder paused while ${mode} does not block its successor, PostgreSQL ${version}`, async (t) => {
    await pool.query(
      "drop table if exists paused; create table paused (writer text); insert into paused values ('nobody')",
    );
    await pool.query("delete from holdfast_fence where resource = 'paused'");
    const script = fileURLToPath(new URL('paused-holder.js', import.meta.url));
    const holder = spawn(process.execPath, [script, server.connectionString, mode, version], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    killAtExit(holder);
    const lines = createInterface(holder.stdout)[Symbol.asyncIterator]();
    t.is((await lines.next()).value, 'open');
    // Time for the result to fill the buffers between the two.
    if (mode === 'reading') await sleep(30);
    holder.kill('SIGSTOP');

    const startedAt = performance.now();
    const take = (tx: PoolClient): Promise<unknown> => tx.query("update paused set writer = 'newer'");
    await guard.transaction(pool, 'paused', 2n, take, { deadlineMs: 15_000 });
    t.log(
      `the successor waited ${Math.round(performance.now() - startedAt)} ms for a holder with 2,500 ms of validity`,
    );

    holder.kill('SIGCONT');
    t.is((await lines.next()).value, 'LOCK_LOST');
    if (holder.exitCode === null) await once(holder, 'exit');
    t.is(holder.exitCode, 0);
    const { rows } = await pool.query<{ writer: string }>('select writer from paused');
    t.deepEqual(rows, [{ writer: 'newer' }]);
  });
}

test('a connection that the server ends during the work is an error of the call and not of the process', async (t) => {
  const call = guard.transaction(pool, 'terminated', 1n, async (tx, { signal }) => {
    const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    if (!signal.aborted) await once(signal, 'abort');
  });
  await t.throwsAsync(call, { instanceOf: CoordinationUnavailableError, message: /before COMMIT/ });
  t.is(await fenceOf('terminated'), undefined);
});

test.serial('an unanswered COMMIT is an unknown outcome, and here it was applied', async (t) => {
  await newCounter('unanswered');
  await withProxy(async (proxy, far) => {
    const call = guard.transaction(far, 'unanswered', 1n, async (tx) => {
      await setCount(tx, 'unanswered', 1);
      proxy.dropAnswers();
    });
    const unknown = t.throwsAsync(call, { instanceOf: OutcomeUnknownError });
    await until('the write', async () => (await countOf('unanswered')) === 1);
    proxy.cut();
    await unknown;
  });
});

test.serial('an unanswered COMMIT of work with an idempotency key is answered by another attempt', async (t) => {
  await newCounter('repeated');
  let done = 0;
  await withProxy(async (proxy, far) => {
    const attempt = (by: Pool) =>
      guard.transaction(
        by,
        'repeated',
        1n,
        async (tx) => {
          done += 1;
          const count = (await countOf('repeated', tx)) + 1;
          await setCount(tx, 'repeated', count);
          if (by === far) dropAnswersAtCommit(tx, proxy);
          return count;
        },
        { idempotencyKey: 'raise' },
      );
    const unknown = t.throwsAsync(attempt(far), { instanceOf: OutcomeUnknownError });
    await until('the write', async () => (await countOf('repeated')) === 1);
    proxy.cut();
    await unknown;
    t.is(await attempt(pool), 1);
    t.is(done, 1);
    t.is(await countOf('repeated'), 1);
  });
});

function dropAnswersAtCommit(tx: PoolClient, proxy: SilentProxy): void {
  before(tx, /commit$/, async () => proxy.dropAnswers());
}

test.serial(
  'a COMMIT that never arrived is an unknown outcome too, and the server ends the transaction by itself',
  async (t) => {
    await newCounter('never arrived');
    await withProxy(async (proxy, far) => {
      const call = guard.transaction(
        far,
        'never arrived',
        1n,
        async (tx) => {
          await setCount(tx, 'never arrived', 1);
          proxy.blackhole();
        },
        /* It has to come to COMMIT in that, and is waited for. */
        { deadlineMs: 3_000 },
      );
      await t.throwsAsync(call, { instanceOf: OutcomeUnknownError });
      await t.notThrowsAsync(guard.transaction(pool, 'never arrived', 2n, () => undefined));
      t.is(await countOf('never arrived'), 0);
    });
  },
);

test.serial(
  'a database that falls silent before COMMIT ends the call at its deadline, with nothing written',
  async (t) => {
    await newCounter('silent');
    await withProxy(async (proxy, far) => {
      const work = async (tx: PoolClient): Promise<void> => {
        proxy.blackhole();
        await setCount(tx, 'silent', 1);
      };
      await t.throwsAsync(guard.transaction(far, 'silent', 1n, work, { deadlineMs: 500 }), {
        instanceOf: CoordinationUnavailableError,
      });
      t.is(await countOf('silent'), 0);
    });
  },
);

test.serial('however a transaction ends, its connection is not lost to the pool', async (t) => {
  const single = new Pool({ connectionString: server.connectionString, max: 1, connectionTimeoutMillis: 5_000 });
  const works: readonly ((tx: PoolClient) => Promise<unknown>)[] = [
    () => Promise.resolve('done'),
    () => Promise.reject(new Error('no')),
    (tx: PoolClient) => tx.query('select pg_terminate_backend(pg_backend_pid())'),
    (tx: PoolClient) => tx.query('select pg_sleep(10)'),
    (tx: PoolClient) => tx.query('select 1 / 0'),
  ];
  for (const token of [2n, 1n]) {
    for (const work of works) {
      await guard.transaction(single, 'single', token, work, { deadlineMs: 300 }).catch(() => undefined);
    }
  }
  const { rows } = await single.query<{ inside: boolean }>(
    'select pg_current_xact_id_if_assigned() is not null as inside',
  );
  t.deepEqual(rows, [{ inside: false }]);
  await single.end();
});

async function withProxy(use: (proxy: SilentProxy, far: Pool) => Promise<void>): Promise<void> {
  const proxy = await SilentProxy.start(server.port);
  const connectionString = server.connectionString.replace(`:${server.port}/`, `:${proxy.port}/`);
  const far = new Pool({ connectionString });
  far.on('error', () => undefined);
  try {
    await far.query('select 1');
    await use(proxy, far);
  } finally {
    await proxy[Symbol.asyncDispose]();
    await far.end();
  }
}
