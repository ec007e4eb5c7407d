import test from 'ava';
import * as fc from 'fast-check';
import { isPolluted, storedText } from '../testing/arbitraries.ts';
import { readReport, type RolloutReport } from './rollout.ts';

const applied: RolloutReport = { instanceId: 'one', applied: 7, refused: undefined };
const refused: RolloutReport = { instanceId: 'one', applied: 6, refused: { version: 7, reason: 'is not valid' } };

test('a report is read as it was told', (t) => {
  const unreadable: RolloutReport = { ...refused, refused: { version: undefined, reason: 'is not JSON' } };
  for (const report of [applied, refused, unreadable]) t.deepEqual(readReport(JSON.stringify(report)), report);
});

const foreign = [
  '',
  'null',
  '[]',
  '{"applied":7}',
  '{"instanceId":"one","applied":"7"}',
  '{"instanceId":"one","applied":0}',
  '{"instanceId":"one","refused":"no"}',
  '{"instanceId":"one","refused":{"version":7}}',
  '{"instanceId":"one","refused":{"version":"7","reason":"x"}}',
];
for (const text of foreign) {
  test(`what somebody else has put there is no report: ${text}`, (t) => {
    t.is(readReport(text), undefined);
  });
}

test('what stands under a rollout is a report or none, whatever it is', (t) => {
  const isVersion = (version: number | undefined): boolean =>
    version === undefined || (Number.isSafeInteger(version) && version > 0);
  fc.assert(
    fc.property(storedText(applied, refused), (text) => {
      const report = readReport(text);
      t.false(isPolluted(report));
      if (report === undefined) return;
      t.deepEqual(Object.keys(report), ['instanceId', 'applied', 'refused']);
      t.true(typeof report.instanceId === 'string' && isVersion(report.applied) && isVersion(report.refused?.version));
      t.true(report.refused === undefined || typeof report.refused.reason === 'string');
    }),
    { numRuns: 1_000 },
  );
});
