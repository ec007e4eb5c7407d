import test from 'ava';
import { audit, type Evidence } from '../examples/demo/audit.ts';
import type { Start, Statement } from '../examples/demo/statement.ts';
import type { JobRecord, RunRecord } from '../lib/index.ts';
import { honest, run, startOf, tickAt } from './demo-evidence.ts';

// What the demo's audit says of the scheduled job. Each corruption is one that a broken schedule, guard or ledger would cause.

const STARTED = 'no tick started twice';
const ACCOUNTED = 'every tick accounted for';
const REPEATED = 'run of the killed leader';
const STATED = 'one statement for each tick';
const SUMS = 'each statement adds up';

type Change<T> = (value: T) => Partial<T>;

/** The start of that tick and attempt, wherever it stands: as told, in history, and in the books. */
function isOf(second: number, attempt = 1): (start: { readonly tick: string; readonly attempt: number }) => boolean {
  return (start) => start.tick === tickAt(second) && start.attempt === attempt;
}

function withRun(evidence: Evidence, second: number, attempt: number, change: Change<RunRecord>): Evidence {
  const records = evidence.records.map((record): JobRecord => {
    if (record.state === 'missed') return record;
    const start = { tick: record.scheduledFor.toISOString(), attempt: record.attempt };
    return isOf(second, attempt)(start) ? { ...record, ...change(record) } : record;
  });
  return { ...evidence, records };
}

function without(evidence: Evidence, isGone: (record: JobRecord) => boolean): Evidence {
  return { ...evidence, records: evidence.records.filter((record) => !isGone(record)) };
}

function withStatements(evidence: Evidence, change: (each: Statement) => readonly Statement[]): Evidence {
  return { ...evidence, statements: evidence.statements.flatMap(change) };
}

function withStart(evidence: Evidence, start: Start): Evidence {
  return { ...evidence, starts: [...evidence.starts, start] };
}

const token = 4_096n;

const corruptions: readonly (readonly [
  title: string,
  corrupt: (evidence: Evidence) => Evidence,
  found: readonly string[],
])[] = [
  ['a start that two workers made', (e) => withStart(e, { ...e.starts[4]!, worker: 'w3' }), [STARTED]],
  ['a start that one worker made twice', (e) => withStart(e, e.starts[4]!), [STARTED]],
  [
    'a start that is not on record',
    (e) => withStart(e, { worker: 'w2', tick: tickAt(2), attempt: 1, token }),
    [STARTED],
  ],
  ['a token that is not greater', (e) => withRun(e, 4, 1, () => ({ token })), [STARTED, STATED]],
  ['a tick that nobody knows of', (e) => without(e, ({ state }) => state === 'missed'), [ACCOUNTED]],
  [
    'a tick that was started and is called missed',
    (e) => ({
      ...e,
      records: e.records.map((record) =>
        record.state === 'missed' ? { ...record, until: new Date(tickAt(3)), count: 2 } : record,
      ),
    }),
    [ACCOUNTED],
  ],
  ['a run that never ended', (e) => withRun(e, 3, 1, () => ({ state: 'started' })), [ACCOUNTED]],
  ['a run that was abandoned for good', (e) => withRun(e, 3, 1, () => ({ state: 'abandoned' })), [ACCOUNTED]],
  ['a job that stood still in the end', (e) => ({ ...e, lastTransferAt: tickAt(4.5) }), [ACCOUNTED]],
  ['no history at all', (e) => without(e, () => true), [STARTED, ACCOUNTED, REPEATED, STATED]],
  ['a killed leader that is said to have finished', (e) => withRun(e, 1, 1, () => ({ state: 'finished' })), [REPEATED]],
  [
    'a killed leader that repeats its run itself',
    (e) => withRun(e, 1, 2, () => ({ instanceId: 'w1' })),
    [STARTED, REPEATED, STATED],
  ],
  [
    'a killed leader whose run nobody repeats',
    (e) => {
      const isRepeat = isOf(1, 2);
      const rest = without(e, (record) => record.state !== 'missed' && record.attempt === 2);
      return withStatements({ ...rest, starts: rest.starts.filter((start) => !isRepeat(start)) }, (each) =>
        isRepeat(each) ? [] : [each],
      );
    },
    [ACCOUNTED, REPEATED],
  ],
  ['a statement that is missing', (e) => withStatements(e, (each) => (isOf(3)(each) ? [] : [each])), [STATED]],
  [
    'a tick that is stated by both of its starts',
    (e) => withStatements(e, (each) => (isOf(1, 2)(each) ? [{ ...each, ...e.cutOff }, each] : [each])),
    [STATED],
  ],
  [
    'a statement of a start that a newer one has overtaken',
    (e) => ({ ...e, statements: [e.statements[1]!, e.statements[0]!, ...e.statements.slice(2)] }),
    [STATED],
  ],
  [
    'a statement by somebody who did not start its tick',
    (e) => withStatements(e, (each) => [isOf(3)(each) ? { ...each, worker: 'w1' } : each]),
    [STATED],
  ],
  [
    'a statement of books with a transfer by half',
    (e) => withStatements(e, (each) => [isOf(3)(each) ? { ...each, sum: each.sum - 100 } : each]),
    [SUMS],
  ],
  [
    'a last statement that does not know of all transfers',
    (e) => withStatements(e, (each) => [isOf(4)(each) ? { ...each, transfers: 3 } : each]),
    [SUMS],
  ],
];
for (const [title, corrupt, found] of corruptions) {
  test(`the audit finds ${title}`, (t) => {
    const failures = audit(corrupt(honest())).flatMap(({ name, ok }) => (ok === false ? [name] : []));
    t.deepEqual(failures, found);
  });
}

test('a failed run, and one that was abandoned for the third time, are accounted for', (t) => {
  const failed = withRun(honest(), 3, 1, () => ({ state: 'failed' }));
  const found = audit(failed).find(({ name }) => name === ACCOUNTED);
  t.like(found, { ok: true, found: '5 came due: 3 finished, 1 failed, 1 missed' });
  const abandoned = withRun(honest(), 3, 1, () => ({ state: 'abandoned', attempt: 3 }));
  t.true(audit(abandoned).find(({ name }) => name === ACCOUNTED)?.ok);
});

test('what a long history has forgotten is not audited, and what it knows is', (t) => {
  const before = honest();
  const sum = before.statements[0]?.sum ?? 0;
  const later = Array.from({ length: 1_000 }, (_, index) => run(5 + index, 'w2'));
  const stated = later.map((each) => ({ ...startOf(each), transfers: 4, sum }));
  const evidence: Evidence = {
    ...before,
    starts: [...before.starts, ...later.map(startOf)],
    records: later,
    statements: [...before.statements, ...stated],
  };
  const failuresOf = (of: Evidence): string[] => audit(of).flatMap(({ name, ok }) => (ok === false ? [name] : []));
  t.deepEqual(failuresOf(evidence), []);
  t.is(audit(evidence).find(({ name }) => name === REPEATED)?.ok, undefined);
  t.deepEqual(failuresOf(withStart(evidence, startOf(later[9]!))), [STARTED]);
});
