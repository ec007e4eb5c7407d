import { getEventListeners } from 'node:events';
import test from 'ava';
import * as fc from 'fast-check';
import { CallRefusedError, OutcomeUnknownError } from '../errors.ts';
import { onAbort } from '../runtime/abort.ts';
import { sleep } from '../runtime/clock.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import type { CallContext } from './attempt.ts';
import type { ExecuteOptions } from './execute-options.ts';
import type { PolicyOptions } from './policy-options.ts';
import { Policy } from './policy.ts';
import type { Verdict } from './verdict.ts';

/** An error of the other side, which says what it means. */
class Failed extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(`failed: ${verdict}`);
    this.verdict = verdict;
  }
}

const classify = (error: unknown): Verdict | undefined => (error instanceof Failed ? error.verdict : undefined);

function policyOn<F = never>(clock: VirtualClock, options: Partial<PolicyOptions<F>> = {}): Policy<F> {
  return new Policy<F>(clock, new SeededRandom(1), { name: 'payments', timeoutMs: 100, classify, ...options });
}

/** Work that fails so, attempt for attempt, and then succeeds. */
function failing(...verdicts: readonly Verdict[]): (context: CallContext) => Promise<string> {
  return async ({ attempt }) => {
    const verdict = verdicts[attempt - 1];
    if (verdict !== undefined) throw new Failed(verdict);
    return `done at attempt ${attempt}`;
  };
}

const forever = (): Promise<never> => new Promise(() => {});
/** As `fetch`: ends with the reason of its signal. */
const obedient = ({ signal }: CallContext): Promise<never> =>
  new Promise((_, reject) => {
    onAbort(signal, reject);
  });

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );

const retry = { maxAttempts: 3, baseDelayMs: 10, maxDelayMs: 20 };

type End = 'done' | 'own error' | 'unknown';
const repeats: readonly (readonly [fails: readonly Verdict[], idempotent: boolean, attempts: number, end: End])[] = [
  [[], false, 1, 'done'],
  [['transient'], false, 2, 'done'],
  [['transient', 'transient', 'transient'], false, 3, 'own error'],
  [['permanent'], false, 1, 'own error'],
  [['permanent'], true, 1, 'own error'],
  [['unknown'], false, 1, 'unknown'],
  [['unknown'], true, 2, 'done'],
  [['transient', 'unknown'], false, 2, 'unknown'],
  [['unknown', 'unknown', 'unknown'], true, 3, 'unknown'],
  /* That the last attempt was not done says nothing of the first. */
  [['unknown', 'transient', 'transient'], true, 3, 'unknown'],
  /* An answer to a repeat stands for all attempts. */
  [['unknown', 'permanent'], true, 2, 'own error'],
];
for (const [fails, idempotent, attempts, end] of repeats) {
  const what = idempotent ? 'idempotent work' : 'work';
  test(`${what} that fails ${fails.join(', then ') || 'never'} is tried ${attempts} times: ${end}`, async (t) => {
    const clock = new VirtualClock();
    const policy = policyOn(clock, { retry });
    const outcome = await clock.settle(errorOf(policy.execute(failing(...fails), { idempotent })));
    t.is(policy.stats().attempts, attempts);
    if (end === 'done') t.deepEqual(outcome, { value: `done at attempt ${attempts}` });
    else if (end === 'own error') t.true(outcome instanceof Failed);
    else t.like(outcome, { code: 'OUTCOME_UNKNOWN', cause: { verdict: fails.at(-1) } });
    t.is(clock.pendingTimers, 0);
  });
}

test('without retry there is one attempt', async (t) => {
  const policy = policyOn(new VirtualClock());
  await t.throwsAsync(policy.execute(failing('transient')), { instanceOf: Failed });
  t.is(policy.stats().attempts, 1);
});

test('an error that nobody classifies is not repeated', async (t) => {
  const policy = policyOn(new VirtualClock(), { retry, classify: undefined });
  const error = await t.throwsAsync(
    policy.execute(() => Promise.reject(new Error('any'))),
    { instanceOf: OutcomeUnknownError },
  );
  t.like(error?.cause, { message: 'any' });
  t.is(policy.stats().attempts, 1);
});

test('an unknown outcome cannot be classified away', async (t) => {
  const policy = policyOn(new VirtualClock(), { retry, classify: () => 'transient' });
  const unknown = new OutcomeUnknownError('by a call within');
  t.is(await errorOf(policy.execute(() => Promise.reject(unknown))), unknown);
  t.is(policy.stats().attempts, 1);
});

for (const [title, mistaken] of [
  [
    'throws',
    () => {
      throw new Error('mistake');
    },
  ],
  ['gives something else', () => 'retry' as Verdict],
] as const) {
  test(`a classify that ${title} makes the outcome unknown, and both errors are told`, async (t) => {
    const policy = policyOn(new VirtualClock(), { retry, classify: mistaken });
    const error = await t.throwsAsync(policy.execute(failing('transient')), { instanceOf: OutcomeUnknownError });
    const cause = error?.cause;
    t.true(cause instanceof AggregateError && cause.errors[0] instanceof Failed);
    t.is(policy.stats().attempts, 1);
  });
}

test('an attempt that is not answered in time has an unknown outcome, and its signal aborts', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { retry });
  let signal: AbortSignal | undefined;
  const call = policy.execute((context) => {
    signal = context.signal;
    return forever();
  });
  const error = await t.throwsAsync(clock.settle(call), {
    instanceOf: OutcomeUnknownError,
    message: /payments.*100 ms/,
  });
  t.is(clock.elapsedMs, 100);
  t.is(signal?.reason, error?.cause);
});

test('the key and nothing else stays the same over the attempts, and other calls have others', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { retry });
  const seen: CallContext[] = [];
  const note = (context: CallContext): Promise<string> => {
    seen.push(context);
    return failing('transient', 'transient')(context);
  };
  await clock.settle(policy.execute(note));
  await clock.settle(policy.execute(note));
  t.deepEqual(
    seen.map(({ attempt }) => attempt),
    [1, 2, 3, 1, 2, 3],
  );
  const keys = seen.map(({ idempotencyKey }) => idempotencyKey);
  t.is(new Set(keys.slice(0, 3)).size, 1);
  t.is(new Set(keys).size, 2);
  t.true(keys.every((key) => /^[0-9a-f]{32}$/.test(key)));
  t.is(new Set(seen.map(({ signal }) => signal)).size, 6);

  await clock.settle(policy.execute(note, { idempotencyKey: 'order-7' }));
  t.is(seen.at(-1)?.idempotencyKey, 'order-7');
});

test('the waits between attempts are full jitter within the bounds, and hold no place', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, {
    retry: { maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 300 },
    bulkhead: { limit: 1 },
  });
  const at: number[] = [];
  const call = policy.execute(async (context) => {
    at.push(clock.elapsedMs);
    return await failing('transient', 'transient', 'transient', 'transient')(context);
  });
  await clock.flush();
  t.is(policy.stats().running, 0);
  t.is(await policy.execute(() => 'meanwhile'), 'meanwhile');
  await clock.settle(call);
  const longest = [100, 200, 300, 300];
  for (const [index, longestMs] of longest.entries()) {
    const waitedMs = (at[index + 1] ?? Number.NaN) - (at[index] ?? Number.NaN);
    t.true(waitedMs >= 0 && waitedMs < longestMs, `${waitedMs} of ${longestMs} ms`);
  }
});

test('no attempt begins after the deadline, and no wait is begun that would pass it', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, {
    retry: { maxAttempts: 50, baseDelayMs: 40, maxDelayMs: 40 },
    deadlineMs: 200,
    idempotent: true,
  });
  const error = await clock.settle(errorOf(policy.execute(forever)));
  t.like(error, { code: 'OUTCOME_UNKNOWN' });
  t.true(clock.elapsedMs <= 200);
  t.is(policy.stats().attempts, 2);
  t.is(clock.pendingTimers, 0);
});

test('a call for whose next wait no time is left ends at once', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { retry: { maxAttempts: 2, baseDelayMs: 1e9, maxDelayMs: 1e9 }, deadlineMs: 1_000 });
  t.true((await clock.settle(errorOf(policy.execute(failing('transient'))))) instanceof Failed);
  t.is(clock.elapsedMs, 0);
  t.is(policy.stats().budget, 10);
});

test('the work can tell how much time is left to it: of its attempt, or of the call if that is less', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { deadlineMs: 1_000 });
  const seen: number[] = [];
  const look = async ({ remainingMs }: CallContext): Promise<void> => {
    seen.push(remainingMs());
    await sleep(clock, 30);
    seen.push(remainingMs());
  };
  await clock.settle(policy.execute(look));
  await clock.settle(policy.execute(look, { deadlineMs: 50 }));
  t.deepEqual(seen, [100, 70, 50, 20]);
});

test('a caller that is gone before anything was sent gets its own reason', async (t) => {
  const policy = policyOn(new VirtualClock(), { bulkhead: { limit: 1, queue: 1 } });
  t.is(await errorOf(policy.execute(() => t.fail(), { signal: AbortSignal.abort('gone') })), 'gone');

  const running = policy.execute(forever);
  const caller = new AbortController();
  const waiting = errorOf(policy.execute(() => t.fail(), { signal: caller.signal }));
  t.is(policy.stats().waiting, 1);
  caller.abort('gone');
  t.is(await waiting, 'gone');
  t.is(policy.stats().waiting, 0);
  t.is(getEventListeners(caller.signal, 'abort').length, 0);
  void running.catch(() => {});
});

test('a caller that goes while the work runs gets an unknown outcome, with its reason as the cause', async (t) => {
  const policy = policyOn(new VirtualClock(), { retry, idempotent: true, fallback: () => 'substitute' });
  const caller = new AbortController();
  const call = errorOf(policy.execute(obedient, { signal: caller.signal }));
  caller.abort('gone');
  t.like(await call, { code: 'OUTCOME_UNKNOWN', cause: 'gone' });
  t.is(policy.stats().attempts, 1);
});

test('a caller that goes between attempts gets its reason, or an unknown outcome if an attempt had one', async (t) => {
  for (const [verdict, expected] of [
    ['transient', 'gone'],
    ['unknown', { code: 'OUTCOME_UNKNOWN', cause: 'gone' }],
  ] as const) {
    const clock = new VirtualClock();
    const policy = policyOn(clock, { retry: { maxAttempts: 2, baseDelayMs: 1_000 }, idempotent: true });
    const caller = new AbortController();
    const call = errorOf(policy.execute(failing(verdict), { signal: caller.signal }));
    await clock.flush();
    caller.abort('gone');
    const outcome = await call;
    if (typeof expected === 'string') t.is(outcome, expected);
    else t.like(outcome, expected);
    t.is(clock.pendingTimers, 0);
  }
});

test('what the bulkhead has no place for is refused unsent, and a place comes free only when the work has ended', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { bulkhead: { limit: 1, queue: 1 }, deadlineMs: 1_000 });
  let end = (): void => {};
  const first = errorOf(policy.execute(() => new Promise<void>((resolve) => (end = resolve))));
  const second = policy.execute(() => 'second');
  t.like(await errorOf(policy.execute(() => t.fail())), { code: 'CALL_REFUSED', reason: 'bulkhead' });

  t.like(await clock.settle(first), { code: 'OUTCOME_UNKNOWN' });
  t.is(policy.stats().running, 1);
  t.is(policy.stats().waiting, 1);
  end();
  t.is(await second, 'second');
  t.is(policy.stats().running, 0);
  t.deepEqual(policy.stats().refused, { breaker: 0, bulkhead: 1, deadline: 0 });
});

test('a call whose time is over before it has a place is refused unsent', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { bulkhead: { limit: 1, queue: 5 } });
  void policy.execute(forever).catch(() => {});
  const waiting = policy.execute(() => t.fail(), { deadlineMs: 30 });
  t.like(await clock.settle(errorOf(waiting)), { code: 'CALL_REFUSED', reason: 'deadline' });
  t.is(clock.elapsedMs, 30);
  t.like(await errorOf(policy.execute(() => t.fail(), { deadlineMs: 0 })), {
    code: 'CALL_REFUSED',
    reason: 'deadline',
  });
  t.is(policy.stats().refused.deadline, 2);
});

const breaker = { failureRatio: 0.5, window: 4, minAttempts: 4, openMs: 1_000 };

test('an open breaker refuses unsent and at once, also when all places are taken, and one success closes it', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { breaker, bulkhead: { limit: 1, queue: 9 } });
  for (let call = 0; call < 4; call += 1) await errorOf(policy.execute(failing('unknown')));
  t.like(await errorOf(policy.execute(() => t.fail())), {
    code: 'CALL_REFUSED',
    reason: 'breaker',
    retryAfterMs: 1_000,
  });
  t.is(policy.stats().breaker, 'open');
  await clock.advance(1_000);
  t.is(await policy.execute(() => 'back'), 'back');
  t.is(policy.stats().breaker, 'closed');
});

test('who waited for a place while the breaker opened is not sent', async (t) => {
  const policy = policyOn(new VirtualClock(), { breaker, bulkhead: { limit: 1, queue: 9 } });
  const failed = [1, 2, 3, 4].map(() => errorOf(policy.execute(failing('unknown'))));
  const waiting = errorOf(policy.execute(() => t.fail()));
  t.is(policy.stats().waiting, 4);
  await Promise.all(failed);
  t.like(await waiting, { code: 'CALL_REFUSED', reason: 'breaker' });
  t.like(policy.stats(), { running: 0, waiting: 0, attempts: 4 });
});

test('an answer that refuses for good shows that the other side lives', async (t) => {
  const policy = policyOn(new VirtualClock(), { breaker });
  for (let call = 0; call < 20; call += 1) await errorOf(policy.execute(failing('permanent')));
  t.is(policy.stats().breaker, 'closed');
});

test('one who hurries does not open the breaker for all, unless half of the attempt’s time was over', async (t) => {
  for (const [deadlineMs, state] of [
    [49, 'closed'],
    [50, 'open'],
  ] as const) {
    const clock = new VirtualClock();
    const policy = policyOn(clock, { breaker });
    for (let call = 0; call < 4; call += 1) await clock.settle(errorOf(policy.execute(forever, { deadlineMs })));
    t.is(policy.stats().breaker, state);
  }
});

test('timeouts open the breaker also where attempt and call end at the same time', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { breaker });
  for (let call = 0; call < 4; call += 1) await clock.settle(errorOf(policy.execute(forever)));
  t.is(policy.stats().breaker, 'open');
});

test('a call whose repeat the breaker would refuse ends with the error of its attempt', async (t) => {
  const clock = new VirtualClock();
  const policy = policyOn(clock, { breaker, retry: { maxAttempts: 9, baseDelayMs: 10, maxDelayMs: 10 } });
  const work = failing(...Array.from({ length: 9 }, () => 'transient' as const));
  t.true((await clock.settle(errorOf(policy.execute(work)))) instanceof Failed);
  t.is(policy.stats().attempts, 4);
  t.is(policy.stats().refused.breaker, 0);
});

const substitutes: readonly (readonly [Verdict, idempotent: boolean, substituted: boolean])[] = [
  ['transient', false, true],
  ['unknown', true, true],
  ['unknown', false, false],
  ['permanent', false, false],
  ['permanent', true, false],
];
for (const [verdict, idempotent, substituted] of substitutes) {
  test(`the fallback is ${substituted ? '' : 'not '}asked for ${idempotent ? 'idempotent ' : ''}work that is ${verdict}`, async (t) => {
    const seen: unknown[] = [];
    const fallback = (error: unknown): string => {
      seen.push(error);
      return 'substitute';
    };
    const policy = policyOn(new VirtualClock(), { fallback });
    const outcome = await errorOf(policy.execute(failing(verdict), { idempotent }));
    if (substituted) t.deepEqual(outcome, { value: 'substitute' });
    else t.true(outcome instanceof Error);
    t.is(seen.length, substituted ? 1 : 0);
    t.like(policy.stats(), { failed: 1, fallbacks: seen.length });
  });
}

test('the fallback stands in for a call that was refused, and its own error comes through', async (t) => {
  const policy = policyOn<string>(new VirtualClock(), {
    bulkhead: { limit: 1 },
    fallback: (error) => (error as CallRefusedError).reason,
  });
  void policy.execute(forever).catch(() => {});
  t.is(await policy.execute(() => 'never'), 'bulkhead');
  const failingToo = policyOn(new VirtualClock(), { fallback: () => Promise.reject(new Error('nor this')) });
  await t.throwsAsync(failingToo.execute(failing('transient')), { message: 'nor this' });
});

test('a call inside another one ends with it, and is not begun when its time is over', async (t) => {
  const clock = new VirtualClock();
  const outer = policyOn(clock);
  const inner = policyOn(clock, { name: 'inner', timeoutMs: 5_000 });
  let within: Promise<unknown> | undefined;
  let signal: AbortSignal | undefined;
  let remaining: number | undefined;
  const call = outer.execute(async () => {
    await sleep(clock, 40);
    within = errorOf(
      inner.execute((context) => {
        signal = context.signal;
        remaining = context.remainingMs();
        return forever();
      }),
    );
    await within;
    /* Given up by now, and still at it. */
    return await inner.execute(() => t.fail());
  });
  await t.throwsAsync(clock.settle(call), { instanceOf: OutcomeUnknownError });
  t.is(clock.elapsedMs, 100);
  t.is(remaining, 60);
  t.true(signal?.aborted);
  t.like(await within, { code: 'OUTCOME_UNKNOWN', cause: signal?.reason as unknown });
  await clock.flush();
  t.like(inner.stats(), { attempts: 1, running: 1, refused: { deadline: 1 } });
  t.is(clock.pendingTimers, 0);
});

test('a call inside another one may be let go on its own, and what outlives the work does so anyway', async (t) => {
  const clock = new VirtualClock();
  const outer = policyOn(clock);
  const inner = policyOn(clock, { name: 'inner', timeoutMs: 5_000 });
  let goOn = (): void => {};
  const left: Promise<unknown>[] = [];
  await outer.execute(() => {
    left.push(inner.execute(({ remainingMs }) => remainingMs(), { detached: true }));
    const pool = new Promise<void>((resolve) => (goOn = resolve));
    left.push(pool.then(() => inner.execute(({ remainingMs }) => remainingMs())));
  });
  await clock.advance(1_000);
  goOn();
  t.deepEqual(await Promise.all(left), [5_000, 5_000]);
});

test('a cancel of the outer call reaches the inner one', async (t) => {
  const policy = policyOn(new VirtualClock());
  const caller = new AbortController();
  let within: Promise<unknown> | undefined;
  const call = errorOf(policy.execute(() => (within = errorOf(policy.execute(forever))), { signal: caller.signal }));
  caller.abort('gone');
  t.like(await call, { code: 'OUTCOME_UNKNOWN', cause: 'gone' });
  t.like(await within, { code: 'OUTCOME_UNKNOWN', cause: 'gone' });
});

for (const [what, options] of [
  ['a misspelt option', { timeoutMs: 1 }],
  ['a deadline that is none', { deadlineMs: -1 }],
  ['a signal that is none', { signal: {} }],
  ['an empty key', { idempotencyKey: '' }],
  ['idempotent as text', { idempotent: 'no' }],
  ['detached as text', { detached: 'no' }],
] as const) {
  test(`${what} is refused before the work begins`, async (t) => {
    const policy = policyOn(new VirtualClock());
    const error = await errorOf(policy.execute(() => t.fail(), options as unknown as ExecuteOptions));
    t.true(error instanceof TypeError || error instanceof RangeError);
    t.is(policy.stats().calls, 0);
  });
}

test('work that is no function is refused, and work that throws at once has failed', async (t) => {
  const policy = policyOn(new VirtualClock());
  await t.throwsAsync(policy.execute('work' as never), { instanceOf: TypeError });
  await t.throwsAsync(
    policy.execute(() => {
      throw new Failed('permanent');
    }),
    { instanceOf: Failed },
  );
});

test('while everything fails, attempts are bounded by the calls, the ratio, and what time and the start give', async (t) => {
  const share = fc.double({ min: 0, max: 0.5, noNaN: true });
  const budgets = fc.record({
    ratio: share,
    minPerSecond: fc.integer({ min: 0, max: 5 }),
    capacity: fc.integer({ min: 1, max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(
      budgets,
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: 200 }),
      async (budget, calls, apartMs) => {
        const clock = new VirtualClock();
        const policy = policyOn(clock, { retry: { maxAttempts: 4, baseDelayMs: 5, maxDelayMs: 5 }, budget });
        const all: Promise<unknown>[] = [];
        for (let call = 0; call < calls; call += 1) {
          all.push(errorOf(policy.execute(failing('transient', 'transient', 'transient', 'transient'))));
          await clock.advance(apartMs);
        }
        await clock.settle(Promise.all(all));
        const { attempts } = policy.stats();
        const bound = calls * (1 + budget.ratio) + (clock.elapsedMs / 1_000) * budget.minPerSecond + budget.capacity;
        t.true(attempts <= bound, `${attempts} attempts, at most ${bound}`);
        t.true(
          attempts >= Math.min(4 * calls, calls + budget.capacity),
          `${attempts} attempts, ${budget.capacity} to begin with`,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('whatever the work does, a call settles by its deadline, and nothing is left of it', async (t) => {
  const act = fc.record({
    takesMs: fc.integer({ min: 0, max: 150 }),
    ends: fc.constantFrom('done', 'transient', 'permanent', 'unknown', 'never' as const),
  });
  const calls = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 80 }),
      deadlineMs: fc.integer({ min: 0, max: 300 }),
      idempotent: fc.boolean(),
      acts: fc.array(act, { minLength: 3, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(calls, async (calls) => {
      const clock = new VirtualClock();
      const policy = policyOn(clock, { retry, breaker: { ...breaker, openMs: 50 }, bulkhead: { limit: 2, queue: 2 } });
      let [running, mostRunning] = [0, 0];
      const all = calls.map(async ({ afterMs, deadlineMs, idempotent, acts }) => {
        await sleep(clock, afterMs);
        const startedAt = clock.elapsedMs;
        let mayBeDone = false;
        const outcome = await errorOf(
          policy.execute(
            async ({ attempt, signal }) => {
              mostRunning = Math.max(mostRunning, (running += 1));
              try {
                const { takesMs, ends } = acts[attempt - 1] ?? { takesMs: 0, ends: 'done' as const };
                await sleep(clock, takesMs);
                if (signal.aborted || ends === 'unknown' || ends === 'never') mayBeDone = true;
                if (ends === 'done') return 'done';
                if (ends === 'never') return await obedient({ signal } as CallContext);
                throw new Failed(ends);
              } finally {
                running -= 1;
              }
            },
            { deadlineMs, idempotent },
          ),
        );
        t.true(clock.elapsedMs - startedAt <= Math.min(deadlineMs, 330), 'by its deadline');
        if (outcome instanceof CallRefusedError) t.false(mayBeDone, 'refused is never reported of what was sent');
        if (mayBeDone && outcome instanceof Failed) t.is(outcome.verdict, 'permanent');
      });
      await clock.settle(Promise.all(all));
      await clock.advance(1_000);
      t.true(mostRunning <= 2);
      const stats = policy.stats();
      t.like(stats, { running: 0, waiting: 0, calls: calls.length });
      t.is(stats.succeeded + stats.failed, calls.length);
      t.is(clock.pendingTimers, 0);
    }),
    { numRuns: 100 },
  );
});
