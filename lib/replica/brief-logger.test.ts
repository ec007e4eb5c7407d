import test from 'ava';
import { testRuntime } from '../testing/test-runtime.ts';
import { BriefLogger } from './brief-logger.ts';

test('the first line of an event is told at once, and those of the next second in one', async (t) => {
  const { clock, logger } = testRuntime();
  const brief = new BriefLogger(clock, logger);
  for (let index = 0; index < 1_000; index += 1) {
    brief.warn('A replica lists again', { event: 'replica.resync', span: `k${index}`, reason: 'compacted' });
  }
  brief.error('Something else', { event: 'replica.failed', span: 'k', reason: 'denied' });
  t.is(logger.lines.length, 2);
  await clock.advance(1_000);
  t.is(logger.lines.length, 3);
  const last = logger.lines[2];
  t.is(last?.level, 'warn');
  t.is(last?.fields['count'], 999);
  t.deepEqual(last?.fields['spans'], ['k1', 'k2', 'k3']);
  brief.warn('A replica lists again', { event: 'replica.resync', span: 'later' });
  t.is(logger.lines[3]?.fields['span'], 'later');
});

test('a second line alone keeps all that it says', async (t) => {
  const { clock, logger } = testRuntime();
  const brief = new BriefLogger(clock, logger);
  brief.warn('One', { event: 'e', span: 'a' });
  brief.warn('Two', { event: 'e', span: 'b' });
  await clock.advance(1_000);
  t.deepEqual(
    logger.lines.map(({ message, fields }) => [message, fields['span']]),
    [
      ['One', 'a'],
      ['Two', 'b'],
    ],
  );
});

test('closing tells what was counted and leaves no timer', (t) => {
  const { clock, logger } = testRuntime();
  const brief = new BriefLogger(clock, logger);
  for (const span of ['a', 'b', 'c']) brief.error('A replica cannot be kept', { event: 'replica.failed', span });
  brief.debug('passes', { event: 'replica.failed' });
  brief.close();
  t.deepEqual(
    logger.lines.map(({ level }) => level),
    ['error', 'debug', 'error'],
  );
  t.is(clock.pendingTimers, 0);
});
