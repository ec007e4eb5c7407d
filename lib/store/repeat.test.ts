import test from 'ava';
import { RetryBudget } from '../resilience/retry-budget.ts';
import { testRuntime, type TestRuntime } from '../testing/test-runtime.ts';
import { repeat, type Repetition } from './repeat.ts';
import { StoreError } from './store-error.ts';

interface Scene {
  readonly runtime: TestRuntime;
  readonly repetition: Repetition;
  /** When each attempt was made. */
  readonly attempts: number[];
}

function begin(capacity = 10): Scene {
  const runtime = testRuntime();
  const budget = new RetryBudget(runtime.clock, { ratio: 0, minPerSecond: 0, capacity });
  return { runtime, repetition: { attemptTimeoutMs: 1_000, baseMs: 50, capMs: 2_000, budget }, attempts: [] };
}

const lost = (): StoreError => new StoreError('timeout', 'unknown', 'no answer');

/** Fails so many times, then answers. */
function step({ runtime, attempts }: Scene, failures: number): () => Promise<string> {
  return async () => {
    attempts.push(runtime.clock.elapsedMs);
    if (attempts.length <= failures) throw lost();
    return 'answer';
  };
}

test('a step that succeeds is done once, at once', async (t) => {
  const scene = begin();
  t.is(await repeat(scene.runtime, scene.repetition, step(scene, 0)), 'answer');
  t.deepEqual(scene.attempts, [0]);
});

test('a step is repeated until it succeeds, with waits that grow up to a cap', async (t) => {
  const scene = begin(100);
  t.is(await scene.runtime.clock.settle(repeat(scene.runtime, scene.repetition, step(scene, 30))), 'answer');
  t.is(scene.attempts.length, 31);
  const waits = scene.attempts.slice(1).map((at, index) => at - (scene.attempts[index] ?? 0));
  waits.forEach((ms, index) => t.true(ms <= Math.min(2_000, 50 * 2 ** index), `${index}: ${ms}`));
  t.true(Math.max(...waits) > 1_000);
});

test('a repeat that the budget does not cover waits for long first', async (t) => {
  const scene = begin(1);
  await scene.runtime.clock.settle(repeat(scene.runtime, scene.repetition, step(scene, 3)));
  const [, second = 0, third = 0, fourth = 0] = scene.attempts;
  t.true(second <= 50);
  t.true(third - second >= 1_000 && fourth - third >= 1_000);
});

test('a refusal for good, and an error of our own, are not repeated', async (t) => {
  for (const error of [new StoreError('denied', 'permanent', 'no'), new TypeError('a bug')]) {
    const { runtime, repetition } = begin();
    let attempts = 0;
    const failing = repeat(runtime, repetition, async () => {
      attempts += 1;
      throw error;
    });
    t.is(await t.throwsAsync(failing), error);
    t.is(attempts, 1);
  }
});

test('the attempt that runs when the signal aborts is waited for, and its answer is better than none', async (t) => {
  const { runtime, repetition } = begin();
  const abort = new AbortController();
  let answer: (text: string) => void = () => {};
  const repeating = repeat(
    runtime,
    repetition,
    () =>
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
    { signal: abort.signal },
  );
  abort.abort(new Error('why'));
  await runtime.clock.flush();
  answer('applied');
  t.is(await repeating, 'applied');
});

test('a signal that aborts between attempts, or before the first, ends it, and leaves no timer', async (t) => {
  const scene = begin();
  const abort = new AbortController();
  const repeating = repeat(scene.runtime, scene.repetition, step(scene, 9), { signal: abort.signal });
  const ended = t.throwsAsync(repeating, { message: 'why' });
  await scene.runtime.clock.flush();
  abort.abort(new Error('why'));
  await ended;
  await t.throwsAsync(repeat(scene.runtime, scene.repetition, step(scene, 9), { signal: abort.signal }), {
    message: 'why',
  });
  t.is(scene.attempts.length, 1);
  t.is(scene.runtime.clock.pendingTimers, 0);
});

test('what is done about a failure is waited for, but not past the signal', async (t) => {
  const scene = begin();
  const abort = new AbortController();
  const failures: StoreError[] = [];
  let contact: () => void = () => {};
  const onFailure = (error: StoreError): Promise<void> => {
    failures.push(error);
    return new Promise((resolve) => {
      contact = resolve;
    });
  };
  const repeating = repeat(scene.runtime, scene.repetition, step(scene, 2), { signal: abort.signal, onFailure });
  const ended = t.throwsAsync(repeating, { message: 'why' });
  await scene.runtime.clock.advance(60_000);
  t.is(scene.attempts.length, 1);
  contact();
  await scene.runtime.clock.advance(60_000);
  t.is(scene.attempts.length, 2);
  t.is(failures.length, 2);
  abort.abort(new Error('why'));
  await ended;
});
