import test from 'ava';
import type { MemberReport } from '../members.ts';
import { judgeMembers } from './members.ts';

const status = { revision: 1n, version: '3.5.30', dbSizeBytes: 3_000_000, hasLeader: true } as const;
const well: MemberReport = { endpoint: 'a', answers: true, isTold: true, ...status };
const untold: MemberReport = { endpoint: 'b', answers: true, isTold: false };
const gone: MemberReport = { endpoint: 'c', answers: false, why: 'refused' };

const verdicts: readonly (readonly [what: string, members: readonly MemberReport[], findings: readonly string[]])[] = [
  ['two that are well', [well, well], ['members fine', 'version fine', 'space fine', 'version fine', 'space fine']],
  ['one that is well', [well], ['members fine', 'members note', 'version fine', 'space fine']],
  ['one that tells how it is to root alone', [untold], ['members fine', 'members note', 'version note']],
  ['one of two that is silent', [well, gone], ['members warning', 'version fine', 'space fine', 'members warning']],
  ['none that answers', [gone], ['members problem', 'members note', 'members warning']],
  [
    'one without a leader',
    [{ ...well, hasLeader: false }],
    ['members fine', 'members note', 'version fine', 'leader problem', 'space fine'],
  ],
  [
    'one that is nearly full',
    [{ ...well, dbSizeBytes: 1_900_000_000 }],
    ['members fine', 'members note', 'version fine', 'space warning'],
  ],
];
for (const [what, members, findings] of verdicts) {
  test(`of ${what} it says ${findings.join(', ')}`, (t) => {
    t.deepEqual(
      judgeMembers(members).map(({ about, level }) => `${about} ${level}`),
      findings,
    );
  });
}
