import test from 'ava';
import type { Finding } from './finding.ts';
import { judgeSession } from './session.ts';

const sessions: readonly (readonly [grantedMs: number | undefined, level: Finding['level'], fact: RegExp])[] = [
  [5_000, 'fine', /5 s was granted as asked/],
  [8_000, 'warning', /5 s was asked for, and 8 s were granted/],
  [undefined, 'problem', /could not be trusted any more/],
];

for (const [grantedMs, level, fact] of sessions) {
  test(`a session of 5 s that is granted for ${grantedMs ?? 'no longer than a moment'} is ${level}`, (t) => {
    const finding = judgeSession(grantedMs, 5_000);
    t.is(finding.level, level);
    t.regex(finding.fact, fact);
  });
}
