import test from 'ava';
import { CoordinationUnavailableError, LockLostError, OutcomeUnknownError } from '../errors.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import type { PostgresPoolClient } from './postgres-client.ts';
import { runTransaction, type TransactionLimits } from './postgres-transaction.ts';

type Answer = 'ok' | 'never' | Error;

/** A pool with one connection, which answers as told by the first word of a query. Closing it rejects what waits, as pg does. */
class FakePool {
  readonly queries: string[] = [];
  readonly released: ('whole' | 'closed')[] = [];
  readonly listeners: ((error: Error) => void)[] = [];
  readonly #answers: Readonly<Record<string, Answer>>;
  readonly #waiting: ((error: Error) => void)[] = [];
  status = 'T';

  constructor(answers: Readonly<Record<string, Answer>> = {}) {
    this.#answers = answers;
  }

  async connect(): Promise<PostgresPoolClient> {
    await this.#answer('connect');
    return {
      query: async (text) => {
        const word = text.includes('commit') && !text.startsWith('begin') ? 'commit' : (/^\w+/.exec(text)?.[0] ?? '');
        this.queries.push(word);
        await this.#answer(word);
        return { rows: [] };
      },
      release: (error) => {
        this.released.push(error === undefined ? 'whole' : 'closed');
        for (const reject of this.#waiting) reject(new Error('Connection terminated'));
      },
      on: (_event, listener) => this.listeners.push(listener),
      off: (_event, listener) => this.listeners.splice(this.listeners.indexOf(listener), 1),
      getTransactionStatus: () => this.status,
    };
  }

  #answer(word: string): Promise<void> {
    const answer = this.#answers[word] ?? 'ok';
    if (answer === 'ok') return Promise.resolve();
    if (answer !== 'never') return Promise.reject(answer);
    return new Promise((_resolve, reject) => {
      this.#waiting.push(reject);
    });
  }
}

const limits = (overrides: Partial<TransactionLimits> = {}): TransactionLimits => ({
  held: undefined,
  deadlineMs: 1_000,
  isolation: 'read committed',
  signal: undefined,
  ...overrides,
});

const refusal = (code: string): Error => Object.assign(new Error(`PostgreSQL says ${code}`), { code });

async function run(
  pool: FakePool,
  {
    work = async (tx: PostgresPoolClient) => void (await tx.query('update')),
    ...overrides
  }: Partial<TransactionLimits> & {
    work?: (tx: PostgresPoolClient, context: { signal: AbortSignal }) => Promise<unknown>;
  } = {},
): Promise<{ error: unknown; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const outcome = runTransaction(clock, pool, work, limits(overrides)).then(
    () => undefined,
    (error: unknown) => error,
  );
  const error = await clock.settle(outcome);
  return { error, clock };
}

test('a transaction begins, works, commits and gives the connection back whole', async (t) => {
  const pool = new FakePool();
  const { error, clock } = await run(pool);
  t.is(error, undefined);
  t.deepEqual(pool.queries, ['begin', 'update', 'commit']);
  t.deepEqual(pool.released, ['whole']);
  t.is(pool.listeners.length, 0);
  t.is(clock.pendingTimers, 0);
});

test('what the work throws is what the caller gets, after a rollback', async (t) => {
  const pool = new FakePool();
  const thrown = new RangeError('no');
  const { error } = await run(pool, { work: () => Promise.reject(thrown) });
  t.is(error, thrown);
  t.deepEqual(pool.queries, ['begin', 'rollback']);
  t.deepEqual(pool.released, ['whole']);
});

const unanswered: readonly (readonly [where: string, error: unknown, released: readonly string[]])[] = [
  ['connect', CoordinationUnavailableError, []],
  ['begin', CoordinationUnavailableError, ['closed']],
  ['update', CoordinationUnavailableError, ['closed']],
  ['commit', OutcomeUnknownError, ['closed']],
];
for (const [where, expected, released] of unanswered) {
  test(`with ${where} unanswered the call settles at its deadline, and only an unanswered COMMIT is unknown`, async (t) => {
    const pool = new FakePool({ [where]: 'never' });
    const { error, clock } = await run(pool);
    t.true(error instanceof (expected as typeof Error), String(error));
    t.is(clock.elapsedMs, 1_000);
    t.deepEqual(pool.released, released);
    t.is(clock.pendingTimers, 0);
  });
}

const answersToCommit: readonly (readonly [title: string, answer: Error, expected: 'itself' | 'unknown'])[] = [
  ['a deferred constraint', refusal('23505'), 'itself'],
  ['a serialization failure', refusal('40001'), 'itself'],
  ['a failed transaction', refusal('25P02'), 'itself'],
  ['an unknown completion', refusal('40003'), 'unknown'],
  ['a shutdown', refusal('57P01'), 'unknown'],
  ['a connection failure told by a proxy', refusal('08006'), 'unknown'],
  ['a reset connection', refusal('ECONNRESET'), 'unknown'],
  ['a lost connection', new Error('Connection terminated unexpectedly'), 'unknown'],
];
for (const [title, answer, expected] of answersToCommit) {
  test(`${title} at COMMIT is ${expected === 'unknown' ? 'an unknown outcome' : 'a refusal'}`, async (t) => {
    const pool = new FakePool({ commit: answer });
    const { error } = await run(pool);
    if (expected === 'itself') t.is(error, answer);
    else t.like(error, { code: 'OUTCOME_UNKNOWN', cause: answer });
    t.deepEqual(pool.released, [expected === 'itself' ? 'whole' : 'closed']);
  });
}

test('a refusal of COMMIT counts only from a server that still answers', async (t) => {
  const { error } = await run(new FakePool({ commit: refusal('40001'), rollback: 'never' }));
  t.like(error, { code: 'OUTCOME_UNKNOWN' });
});

test('a rollback that is not answered closes the connection, and the error stays that of the work', async (t) => {
  const pool = new FakePool({ rollback: 'never', update: refusal('23505') });
  const { error, clock } = await run(pool);
  t.like(error, { code: '23505' });
  t.deepEqual(pool.released, ['closed']);
  t.is(clock.pendingTimers, 0);
});

test('a rollback near the deadline does not hold up the caller', async (t) => {
  const { clock } = await run(new FakePool({ rollback: 'never', update: refusal('23505') }), { deadlineMs: 10 });
  t.is(clock.elapsedMs, 200);
});

test('the validity of the holder ends the transaction before the deadline does', async (t) => {
  const pool = new FakePool({ update: 'never' });
  const { error, clock } = await run(pool, { held: { remainingMs: () => 300.5 } });
  t.true(error instanceof LockLostError, String(error));
  t.true(clock.elapsedMs >= 300 && clock.elapsedMs <= 301);
});

test('a holder that is lost already sends nothing', async (t) => {
  for (const remainingMs of [0, -5, Number.NaN]) {
    const pool = new FakePool();
    const { error } = await run(pool, { held: { remainingMs: () => remainingMs } });
    t.true(error instanceof LockLostError);
    t.deepEqual(pool.released, []);
  }
});

test('the signal of the holder aborts the work and rolls back, with its reason', async (t) => {
  const pool = new FakePool({ update: 'never' });
  const lost = new AbortController();
  const reason = new LockLostError('lost');
  let seen: unknown;
  const { error } = await run(pool, {
    held: { remainingMs: () => 500, signal: lost.signal },
    work: async (tx, { signal }) => {
      signal.addEventListener('abort', () => {
        seen = signal.reason;
      });
      setImmediate(() => lost.abort(reason));
      await tx.query('update');
    },
  });
  t.is(error, reason);
  t.is(seen, reason);
  t.deepEqual(pool.released, ['closed']);
});

test('a signal that is aborted already sends nothing', async (t) => {
  const pool = new FakePool();
  const { error } = await run(pool, { signal: AbortSignal.abort('enough') });
  t.is(error, 'enough');
  t.deepEqual(pool.released, []);
});

test('a connection that comes after the caller gave up goes back', async (t) => {
  const clock = new VirtualClock();
  const pool = new FakePool();
  let arrive = (): void => undefined;
  const slow = {
    connect: async (): Promise<PostgresPoolClient> => {
      await new Promise<void>((resolve) => {
        arrive = resolve;
      });
      return await pool.connect();
    },
  };
  const controller = new AbortController();
  const call = runTransaction(clock, slow, () => Promise.resolve(), limits({ signal: controller.signal }));
  await clock.flush();
  controller.abort('enough');
  t.is(await call.catch((error: unknown) => error), 'enough');
  arrive();
  await clock.flush();
  t.deepEqual(pool.released, ['whole']);
});

test('work that outlives the abort is waited for, since its lock must not be let go of before', async (t) => {
  const clock = new VirtualClock();
  const pool = new FakePool();
  let finish = (): void => undefined;
  let settled = false;
  const call = runTransaction(
    clock,
    pool,
    () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
    limits(),
  ).catch((error: unknown) => {
    settled = true;
    return error;
  });
  await clock.advance(5_000);
  t.deepEqual(pool.released, ['closed']);
  t.false(settled);
  finish();
  t.true((await call) instanceof CoordinationUnavailableError);
  t.false(pool.queries.includes('commit'));
});

test('time that the timer does not see still prevents COMMIT', async (t) => {
  const clock = new VirtualClock();
  const pool = new FakePool();
  const call = runTransaction(clock, pool, () => Promise.resolve(clock.suspend(2_000)), limits());
  t.true((await call.catch((error: unknown) => error)) instanceof CoordinationUnavailableError);
  t.deepEqual(pool.queries, ['begin', 'rollback']);
});

test('a connection that ends during the work aborts it, and does not end the process', async (t) => {
  const pool = new FakePool({ update: 'never' });
  const gone = refusal('57P01');
  const { error } = await run(pool, {
    work: async (tx) => {
      setImmediate(() => pool.listeners[0]?.(gone));
      await tx.query('update');
    },
  });
  t.like(error, { code: 'UNAVAILABLE', cause: gone });
  t.deepEqual(pool.released, ['closed']);
});

test('work that commits by itself is told so', async (t) => {
  const pool = new FakePool();
  const { error } = await run(pool, { work: async () => void (pool.status = 'I') });
  t.like(error, { code: 'OUTCOME_UNKNOWN' });
  t.false(pool.queries.includes('commit'));
});

test('a pool that gives no client is a TypeError', async (t) => {
  const clock = new VirtualClock();
  const pool = { connect: () => Promise.resolve(undefined as unknown as PostgresPoolClient) };
  await t.throwsAsync(
    runTransaction(clock, pool, () => Promise.resolve(), limits()),
    { instanceOf: TypeError },
  );
  t.is(clock.pendingTimers, 0);
});
