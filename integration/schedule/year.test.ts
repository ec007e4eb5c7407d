import test from 'ava';
import { simulateSchedules } from '../../lib/simulation/schedule-year.ts';

const HOUR = 3_600_000;

/* No servers: it is here because it takes minutes. Shorter ones are in lib/simulation/schedule-year.test.ts. */
test('a year of hourly and daily ticks, with crashes, cuts and clocks an hour off: none twice, none unaccounted for', async (t) => {
  t.timeout(900_000);
  const report = await simulateSchedules({
    seed: 2026,
    fromMs: Date.parse('2026-01-01T00:00:00Z'),
    days: 365,
    latencyMs: 0,
    calmMs: { from: HOUR, to: 60 * HOUR },
  });
  t.log(report);
  t.deepEqual(report.violations, []);
  t.true(report.starts > 9_000);
  t.true(report.troubles > 200);
});
