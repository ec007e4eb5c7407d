/** What an honest run of the demo leaves behind, for tests to corrupt. */
import { OPENING_BALANCE, type Applied } from '../examples/demo/accounts.ts';
import type { Evidence } from '../examples/demo/audit.ts';
import type { Answers } from '../examples/demo/evidence.ts';
import type { Transfer } from '../examples/demo/jobs.ts';
import type { PaceEvidence } from '../examples/demo/pace-audit.ts';
import type { StatementEvidence } from '../examples/demo/statement-audit.ts';
import type { Start } from '../examples/demo/statement.ts';
import type { RunRecord } from '../lib/index.ts';

export const jobs: readonly Transfer[] = [
  { id: 't-1', from: 'ada', to: 'ben', amount: 100 },
  { id: 't-2', from: 'ben', to: 'cleo', amount: 250 },
  { id: 't-3', from: 'cleo', to: 'ada', amount: 100 },
  { id: 't-4', from: 'ada', to: 'ben', amount: 40 },
];

export const ms = (at: number): bigint => BigInt(at) * 1_000_000n;

/** Three answers from memory, given at that time of the run. */
export function answered(
  worker: string,
  at: number,
  version: number,
  source: Answers['source'],
  ageMs: number,
): Answers {
  const when = { from: ms(at), to: ms(at + 20), trueOf: ms(at - ageMs) };
  return { worker, version, transferMs: version === 1 ? 200 : 40, source, answers: 3, greatestAgeMs: ageMs, ...when };
}

/** A change after an outage from 10 s to 13 s, which every worker reads through from memory. */
function honestPace(): PaceEvidence {
  const workers = ['w1', 'w2'];
  return {
    workers,
    outages: [{ from: ms(10_000), to: ms(13_000) }],
    answers: workers.flatMap((worker) => [
      answered(worker, 9_000, 1, 'live', 200),
      answered(worker, 10_500, 1, 'live', 700),
      answered(worker, 12_900, 1, 'stale', 3_100),
      answered(worker, 13_400, 1, 'stale', 3_600),
      answered(worker, 14_000, 1, 'live', 100),
      answered(worker, 15_000, 2, 'live', 300),
    ]),
    configured: workers.flatMap((worker) => [
      { worker, version: 1, at: ms(1_000) },
      { worker, version: 2, at: ms(14_510) },
    ]),
    history: new Map([
      [1, 200],
      [2, 40],
    ]),
    change: { version: 2, sentAt: ms(14_500) },
    rollout: workers.map((instanceId) => ({ instanceId, applied: 2, refused: undefined })),
  };
}

/** A tick of the scheduled job, so many seconds after the first. */
export function tickAt(second: number): string {
  return new Date(Date.UTC(2026, 2, 1, 3) + second * 1_000).toISOString();
}

/** A run of the job. Its token rises from tick to tick and from attempt to attempt. */
export function run(
  second: number,
  instanceId: string,
  state: RunRecord['state'] = 'finished',
  attempt = 1,
): RunRecord {
  const scheduledFor = new Date(tickAt(second));
  const token = 4_096n * BigInt(10 * second + attempt);
  const rest = { trigger: 'schedule', startedAt: scheduledFor, durationMs: 260, error: undefined } as const;
  return { state, scheduledFor, attempt, token, instanceId, ...rest };
}

export function startOf({ instanceId: worker, scheduledFor, attempt, token }: RunRecord): Start {
  return { worker, tick: scheduledFor.toISOString(), attempt, token };
}

/** `w1` is killed in its run for second 1. `w2` starts that once more, finds second 2 missed, and goes on. */
function honestStatements(): Omit<StatementEvidence, 'jobs'> {
  const runs = [run(0, 'w1'), run(1, 'w2', 'finished', 2), run(3, 'w2'), run(4, 'w2')];
  const cutOff = run(1, 'w1', 'abandoned');
  const missed = new Date(tickAt(2));
  return {
    starts: [startOf(cutOff), ...runs.map(startOf)],
    records: [...runs, cutOff, { state: 'missed', scheduledFor: missed, until: missed, count: 1, instanceId: 'w2' }],
    statements: runs.map((each, index) => ({ ...startOf(each), transfers: index + 1, sum: 3 * OPENING_BALANCE })),
    cutOff: startOf(cutOff),
    lastTransferAt: tickAt(3.5),
  };
}

/** What an honest run leaves: everything once, each transfer from the balances before it, under rising tokens. */
export function honest(): Evidence {
  const balances = new Map(['ada', 'ben', 'cleo'].map((account) => [account, OPENING_BALANCE]));
  const applied = jobs.map((job, index): Applied => {
    const postings = [job.from, job.to].map((account) => {
      const balance = (balances.get(account) ?? 0) + (account === job.to ? job.amount : -job.amount);
      balances.set(account, balance);
      return { account, balance, token: 4_096n * BigInt(index + 1) };
    });
    return { ...job, worker: index % 2 === 0 ? 'w1' : 'w2', postings };
  });
  const late = { worker: 'w1', id: 't-3' };
  return {
    jobs,
    applied,
    balances,
    refusals: [{ ...late, account: 'ada', token: 1n, highest: 2n }],
    lateWrites: [late],
    ...honestPace(),
    ...honestStatements(),
    grantsDuringOutages: 0,
    takeovers: 2,
  };
}
