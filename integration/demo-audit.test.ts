import test from 'ava';
import { OPENING_BALANCE, type Applied } from '../examples/demo/accounts.ts';
import { audit, replay, type Evidence } from '../examples/demo/audit.ts';
import type { Answers } from '../examples/demo/evidence.ts';
import type { RolloutReport } from '../lib/index.ts';
import { answered, honest, jobs, ms } from './demo-evidence.ts';

// An audit that cannot fail proves nothing. Each corruption below is one that a broken lock, guard or ledger would cause, and each is
// found by the findings that it should be found by.

function failuresOf(evidence: Evidence): string[] {
  return audit(evidence).flatMap(({ name, ok }) => (ok === false ? [name] : []));
}

/** The late write of a paused worker, applied over what came after it had read: its postings are from before `t-2` and `t-3`. */
function withLateWrite(evidence: Evidence): Evidence {
  const [first, second, third] = evidence.applied as [Applied, Applied, Applied];
  const postings = [
    { account: 'ada', balance: OPENING_BALANCE - 40, token: 4_000n },
    { account: 'ben', balance: OPENING_BALANCE + 40, token: 4_000n },
  ];
  const applied = [first, second, third, { ...jobs[3]!, worker: 'w3', postings }];
  const balances = new Map([
    ...evidence.balances,
    ...postings.map(({ account, balance }) => [account, balance] as const),
  ]);
  return { ...evidence, applied, balances, refusals: [], lateWrites: [{ worker: 'w3', id: 't-4' }] };
}

function withBalance(evidence: Evidence, account: string, change: number): Evidence {
  const balance = (evidence.balances.get(account) ?? 0) + change;
  return { ...evidence, balances: new Map([...evidence.balances, [account, balance]]) };
}

function withRecord(evidence: Evidence, index: number, change: (record: Applied) => Partial<Applied>): Evidence {
  const applied = evidence.applied.map((record, at) => (at === index ? { ...record, ...change(record) } : record));
  return { ...evidence, applied };
}

/** What the second worker answered, changed. */
function withAnswers(evidence: Evidence, change: (stretch: Answers, at: number) => readonly Answers[]): Evidence {
  const answers = evidence.answers.flatMap((stretch) =>
    stretch.worker === 'w2' ? change(stretch, Number(stretch.from / 1_000_000n)) : [stretch],
  );
  return { ...evidence, answers };
}

function withRollout(evidence: Evidence, reports: readonly Partial<RolloutReport>[]): Evidence {
  const own = reports.map((report) => ({ instanceId: 'w2', applied: undefined, refused: undefined, ...report }));
  return { ...evidence, rollout: [...evidence.rollout.slice(0, 1), ...own] };
}

test('an honest history passes, and balances are as in a replay', (t) => {
  t.deepEqual(failuresOf(honest()), []);
  t.deepEqual(honest().balances, replay(jobs));
});

const ONCE = 'each transfer applied once';
const SUM = 'sum of all balances';
const REPLAY = 'balances as in a replay';
const LOST = 'no update lost';
const TOKENS = 'tokens rise on each account';
const STALE = 'stale writes refused';
const GRANTED = 'granted while etcd was away';
const CHANGE = 'config change reached all';
const READS = 'reads while etcd was away';
const VERSIONS = 'no version made up';

const corruptions: readonly (readonly [
  title: string,
  corrupt: (evidence: Evidence) => Evidence,
  found: readonly string[],
])[] = [
  ['a late write over newer balances', withLateWrite, [SUM, REPLAY, LOST, TOKENS, STALE]],
  ['a transfer that is missing', (e) => ({ ...e, applied: e.applied.slice(0, -1) }), [ONCE]],
  ['a transfer on record twice', (e) => ({ ...e, applied: [...e.applied, e.applied[3]!] }), [ONCE, LOST, TOKENS]],
  ['a transfer that nobody ordered', (e) => withRecord(e, 3, () => ({ id: 't-9' })), [ONCE]],
  ['a transfer of another amount', (e) => withRecord(e, 3, () => ({ amount: 41 })), [ONCE, LOST]],
  [
    'a transfer of half its accounts',
    (e) => withRecord(e, 3, ({ postings }) => ({ postings: postings.slice(1) })),
    [ONCE],
  ],
  ['money out of nowhere', (e) => withBalance(e, 'ada', 1), [SUM, REPLAY]],
  ['money on the wrong account', (e) => withBalance(withBalance(e, 'ada', 1), 'ben', -1), [REPLAY]],
  ['an account that nobody knows', (e) => withBalance(e, 'mallory', 0), [REPLAY]],
  [
    'a token that was used before',
    (e) => withRecord(e, 1, ({ postings }) => ({ postings: postings.map((p) => ({ ...p, token: 4_096n })) })),
    [TOKENS],
  ],
  ['a late write that nobody refused', (e) => ({ ...e, refusals: [] }), [STALE]],
  ['a refusal of somebody else', (e) => ({ ...e, lateWrites: [{ worker: 'w2', id: 't-3' }] }), [STALE]],
  ['a lock that was granted without etcd', (e) => ({ ...e, grantsDuringOutages: 1 }), [GRANTED]],
  [
    'a worker that did not hear of the change',
    (e) => ({ ...e, configured: e.configured.filter(({ worker, version }) => worker === 'w1' || version === 1) }),
    [CHANGE],
  ],
  [
    'a worker that heard of the change and does not go by it',
    (e) => withAnswers(e, (stretch, at) => [at === 15_000 ? answered('w2', at, 1, 'live', 300) : stretch]),
    [CHANGE],
  ],
  [
    'a worker that went back to the old version',
    (e) => withAnswers(e, (stretch, at) => [stretch, ...(at < 15_000 ? [] : [answered('w2', 16_000, 1, 'live', 1)])]),
    [CHANGE, VERSIONS],
  ],
  ['a worker that reports nothing', (e) => withRollout(e, []), [CHANGE]],
  ['a worker that reports the old version, too', (e) => withRollout(e, [{ applied: 2 }, { applied: 1 }]), [CHANGE]],
  [
    'a worker that refused a later version',
    (e) => withRollout(e, [{ applied: 2, refused: { version: 3, reason: 'none' } }]),
    [CHANGE],
  ],
  [
    'a worker that stopped reading without etcd',
    (e) => withAnswers(e, (stretch, at) => (at > 10_000 && at < 13_000 ? [] : [stretch])),
    [READS],
  ],
  [
    'an answer without etcd that calls itself newer than its end',
    (e) => withAnswers(e, (stretch, at) => [at === 12_900 ? answered('w2', at, 1, 'stale', 2_000) : stretch]),
    [READS],
  ],
  [
    'an old answer that calls itself live',
    (e) => withAnswers(e, (stretch, at) => [at === 13_400 ? answered('w2', at, 1, 'live', 3_600) : stretch]),
    [READS],
  ],
  [
    'a worker that did not turn stale',
    (e) => withAnswers(e, (stretch, at) => (at === 12_900 ? [] : [stretch])),
    [READS],
  ],
  [
    'an age that stopped short of the outage',
    (e) => withAnswers(e, (stretch) => [{ ...stretch, greatestAgeMs: Math.min(2_900, stretch.greatestAgeMs) }]),
    [READS],
  ],
  [
    'a worker that stayed stale afterwards',
    (e) => withAnswers(e, (stretch) => [stretch.from > ms(13_000) ? { ...stretch, source: 'stale' } : stretch]),
    [READS],
  ],
  [
    'a version that the store never had',
    (e) => withAnswers(e, (stretch, at) => [stretch, ...(at === 14_000 ? [{ ...stretch, version: 0 }] : [])]),
    [VERSIONS],
  ],
  [
    'a version with a value that it never had',
    (e) => withAnswers(e, (stretch, at) => [at === 12_900 ? { ...stretch, transferMs: 40 } : stretch]),
    [VERSIONS],
  ],
];
for (const [title, corrupt, found] of corruptions) {
  test(`the audit finds ${title}`, (t) => {
    t.deepEqual(failuresOf(corrupt(honest())), found);
  });
}

test('what was not staged is no failure, and is not called a success either', (t) => {
  const evidence = { ...honest(), lateWrites: [], refusals: [], outages: [] };
  const verdicts = new Map(audit(evidence).map(({ name, ok }) => [name, ok]));
  t.is(verdicts.get(STALE), undefined);
  t.is(verdicts.get(GRANTED), undefined);
  t.is(verdicts.get(READS), undefined);
});
