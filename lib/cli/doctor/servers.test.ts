import test from 'ava';
import { judgeVersion } from './servers.ts';

const verdicts: readonly (readonly [version: string, level: string, count: number])[] = [
  ['3.6.1', 'fine', 1],
  ['3.5.28', 'fine', 1],
  ['3.5.30', 'fine', 1],
  ['3.4.42', 'fine', 1],
  ['3.5.16', 'warning', 1],
  ['3.5.7', 'warning', 2],
  ['3.5.1', 'warning', 3],
  ['3.4.23', 'warning', 2],
  ['3.3.25', 'problem', 1],
  ['2.3.8', 'problem', 1],
  ['3.6.0-rc.1', 'fine', 1],
  ['unknown', 'note', 1],
];
for (const [version, level, count] of verdicts) {
  test(`etcd ${version}: ${count} × ${level}`, (t) => {
    const findings = judgeVersion('http://a:2379', version);
    t.deepEqual(
      findings.map((finding) => finding.level),
      Array.from({ length: count }, () => level),
    );
    t.true(
      findings.every(
        ({ fact, advice }) => fact.includes(version) && (level === 'fine' || level === 'note' || advice !== undefined),
      ),
    );
  });
}
