import test from 'ava';
import { completePolicyOptions, type PolicyOptions } from './policy-options.ts';
import { createPolicy } from './policy.ts';

test('what is not said has its documented default', (t) => {
  t.deepEqual(completePolicyOptions({ name: 'a' }), {
    name: 'a',
    timeoutMs: 2_000,
    deadlineMs: 2_000,
    idempotent: false,
    maxAttempts: 1,
    backoff: { baseMs: 100, capMs: 2_000 },
    budget: { ratio: 0.1, minPerSecond: 2, capacity: 10 },
    breaker: undefined,
    bulkhead: undefined,
    classify: undefined,
    fallback: undefined,
  });
  const some = completePolicyOptions({ name: 'a', retry: {}, breaker: {}, bulkhead: { limit: 8 } });
  t.is(some.maxAttempts, 3);
  t.is(some.deadlineMs, 3 * 2_000 + 100 + 200);
  t.deepEqual(some.breaker, { failureRatio: 0.5, window: 20, minAttempts: 10, openMs: 5_000 });
  t.deepEqual(some.bulkhead, { limit: 8, queue: 0 });
});

test('a lone option does not contradict the defaults of the others', (t) => {
  t.notThrows(() => completePolicyOptions({ name: 'a', timeoutMs: 60_000 }));
  t.is(completePolicyOptions({ name: 'a', retry: { baseDelayMs: 10_000 } }).backoff.capMs, 10_000);
  t.is(completePolicyOptions({ name: 'a', breaker: { window: 3 } }).breaker?.minAttempts, 3);
});

const wrong: readonly (readonly [options: object | undefined, message: RegExp])[] = [
  [undefined, /options of createPolicy/],
  [{}, /name/],
  [{ name: '' }, /name/],
  [{ name: 'a', timeout: 1 }, /"timeout"/],
  [{ name: 'a', timeoutMs: 0 }, /timeoutMs.*at least 1, got 0/],
  [{ name: 'a', timeoutMs: Number.NaN }, /timeoutMs.*got NaN/],
  [{ name: 'a', timeoutMs: '5s' }, /timeoutMs.*got "5s"/],
  [{ name: 'a', timeoutMs: 2_000, deadlineMs: 1_000 }, /timeoutMs <= deadlineMs, got 2000 and 1000/],
  [{ name: 'a', deadlineMs: null }, /deadlineMs.*got null/],
  [{ name: 'a', idempotent: 'yes' }, /idempotent.*got "yes"/],
  [{ name: 'a', retry: 3 }, /options of retry/],
  [{ name: 'a', retry: { attempts: 3 } }, /"attempts"/],
  [{ name: 'a', retry: { maxAttempts: 0 } }, /retry\.maxAttempts/],
  [{ name: 'a', retry: { maxAttempts: 2.5 } }, /retry\.maxAttempts/],
  [{ name: 'a', retry: { baseDelayMs: 500, maxDelayMs: 100 } }, /baseDelayMs <= retry\.maxDelayMs, got 500 and 100/],
  [{ name: 'a', budget: { ratio: -0.1 } }, /budget\.ratio/],
  [{ name: 'a', budget: { minPerSecond: Number.POSITIVE_INFINITY } }, /budget\.minPerSecond/],
  [{ name: 'a', budget: { capacity: 0 } }, /budget\.capacity/],
  [{ name: 'a', breaker: { failureRatio: 1 } }, /breaker\.failureRatio/],
  [{ name: 'a', breaker: { failureRatio: 0 } }, /breaker\.failureRatio/],
  [{ name: 'a', breaker: { window: 5, minAttempts: 6 } }, /breaker\.minAttempts <= breaker\.window, got 6 and 5/],
  [{ name: 'a', breaker: { openMs: 0 } }, /breaker\.openMs/],
  [{ name: 'a', bulkhead: {} }, /bulkhead\.limit.*got undefined/],
  [{ name: 'a', bulkhead: { limit: 0 } }, /bulkhead\.limit/],
  [{ name: 'a', bulkhead: { limit: 1, queue: -1 } }, /bulkhead\.queue/],
  [{ name: 'a', classify: 'transient' }, /classify/],
  [{ name: 'a', fallback: 0 }, /fallback/],
];
for (const [options, message] of wrong) {
  test(`${JSON.stringify(options)} is refused, naming what is wrong`, (t) => {
    const error = t.throws(() => createPolicy(options as PolicyOptions), { message });
    t.true(error instanceof TypeError || error instanceof RangeError);
  });
}
