import test from 'ava';
import { testRuntime } from '../../testing/test-runtime.ts';
import { examineTimers, judgeTimers } from './machine.ts';

const verdicts: readonly (readonly [latestMs: number, ttlMs: number, level: 'fine' | 'warning' | 'problem'])[] = [
  [2, 15_000, 'fine'],
  [375, 15_000, 'fine'],
  [376, 15_000, 'warning'],
  [1_501, 15_000, 'problem'],
  [60, 2_000, 'warning'],
  [250, 2_000, 'problem'],
];
for (const [latestMs, ttlMs, level] of verdicts) {
  test(`timers that come ${latestMs} ms late are ${level} for a TTL of ${ttlMs}`, (t) => {
    const finding = judgeTimers(latestMs, ttlMs);
    t.is(finding.level, level);
    t.is(finding.advice === undefined, level === 'fine');
  });
}

test('timers that come in time are late by nothing, and who stops the doctor does not wait for them', async (t) => {
  const { clock } = testRuntime();
  const stop = new AbortController();
  const finding = await clock.settle(examineTimers(clock, 15_000, stop.signal), { withinMs: 1_000 });
  t.regex(finding.fact, /up to 0\.0 ms/);
  stop.abort(new Error('enough'));
  await t.throwsAsync(examineTimers(clock, 15_000, stop.signal), { message: 'enough' });
});
