import test from 'ava';
import { simulateSchedules } from './schedule-year.ts';

const HOUR = 3_600_000;

/* A whole year is in integration/schedule/year.test.ts. */
for (const [season, from, seed] of [
  ['the beginning of summer time', '2026-03-28T00:00:00Z', 1],
  ['its end', '2026-10-24T00:00:00Z', 2],
  ['any time', '2026-06-01T00:00:00Z', 3],
] as const) {
  test(`days of ticks around ${season}: none is started twice, each was started or is recorded as missed`, async (t) => {
    const report = await simulateSchedules({
      seed,
      fromMs: Date.parse(from),
      days: 3,
      latencyMs: { from: 1, to: 20 },
      calmMs: { from: HOUR / 6, to: 3 * HOUR },
    });
    t.log(report);
    t.deepEqual(report.violations, []);
    t.true(report.starts > 50);
    t.true(report.troubles >= 5);
  });
}
