/**
 * The audit: pure functions over what the resource has on record, which is compared with the file of jobs and not with what the
 * workers believe. Each finding can fail, and does without fencing: see integration/demo-audit.test.ts.
 */
import { OPENING_BALANCE, type Applied, type Posting } from './accounts.ts';
import { lengthMs, type Refusal } from './evidence.ts';
import { finding, type Finding } from './finding.ts';
import { accountsOf, type Transfer } from './jobs.ts';
import { auditPace, type PaceEvidence } from './pace-audit.ts';
import { auditStatements, type StatementEvidence } from './statement-audit.ts';
import { money, seconds } from './timeline.ts';

export interface Evidence extends PaceEvidence, StatementEvidence {
  readonly jobs: readonly Transfer[];
  /** In the order in which they were applied. */
  readonly applied: readonly Applied[];
  readonly balances: ReadonlyMap<string, number>;
  readonly refusals: readonly Refusal[];
  /** The late writes that were staged: each of them must have been refused. */
  readonly lateWrites: readonly { readonly worker: string; readonly id: string }[];
  /** How many locks were granted while etcd was away. */
  readonly grantsDuringOutages: number;
  /** Locks that went on to a successor after their holder was killed or paused. */
  readonly takeovers: number;
}

export function audit(evidence: Evidence): Finding[] {
  return [
    appliedOnce(evidence),
    sumConserved(evidence),
    likeReplay(evidence),
    unbroken(evidence),
    tokensRise(evidence),
    lateWritesRefused(evidence),
    nothingGranted(evidence),
    ...auditPace(evidence),
    ...auditStatements(evidence),
    locksMoved(evidence),
  ];
}

/** The jobs one after the other, by nobody but this loop. Accounts may be overdrawn, so their order does not matter. */
export function replay(jobs: readonly Transfer[]): Map<string, number> {
  const balances = new Map(accountsOf(jobs).map((account) => [account, OPENING_BALANCE]));
  for (const { from, to, amount } of jobs) {
    balances.set(from, (balances.get(from) ?? 0) - amount);
    balances.set(to, (balances.get(to) ?? 0) + amount);
  }
  return balances;
}

function appliedOnce({ jobs, applied }: Evidence): Finding {
  const records = groupById(applied);
  const wrong = jobs.filter((job) => {
    const [record, ...more] = records.get(job.id) ?? [];
    return record === undefined || more.length > 0 || !isSame(job, record);
  });
  const known = new Set(jobs.map(({ id }) => id));
  const unknown = applied.filter(({ id }) => !known.has(id));
  const bad = [...wrong, ...unknown].map(({ id }) => id);
  return finding('each transfer applied once', bad, `${jobs.length - wrong.length} of ${jobs.length}`);
}

function sumConserved({ jobs, balances }: Evidence): Finding {
  const expected = accountsOf(jobs).length * OPENING_BALANCE;
  const sum = [...balances.values()].reduce((total, balance) => total + balance, 0);
  const difference = sum - expected;
  const found = difference === 0 ? money(sum) : `${money(sum)}, off by ${money(difference)}`;
  return { name: 'sum of all balances', found, ok: difference === 0 };
}

function likeReplay({ jobs, balances }: Evidence): Finding {
  const expected = replay(jobs);
  const accounts = [...new Set([...expected.keys(), ...balances.keys()])];
  const bad = accounts.filter((account) => expected.get(account) !== balances.get(account));
  return finding('balances as in a replay', bad, `${accounts.length - bad.length} of ${accounts.length} accounts`);
}

/** Every transfer went on from the balances that the one before it left: no update was lost, not even one that cancels out. */
function unbroken({ jobs, applied }: Evidence): Finding {
  const balances = new Map(accountsOf(jobs).map((account) => [account, OPENING_BALANCE]));
  const bad = new Set<string>();
  for (const { id, from, amount, postings } of applied) {
    for (const { account, balance } of postings) {
      const change = account === from ? -amount : amount;
      if (balance !== (balances.get(account) ?? Number.NaN) + change) bad.add(id);
      balances.set(account, balance);
    }
  }
  return finding('no update lost', [...bad], `${applied.length - bad.size} of ${applied.length} saw the one before`);
}

function tokensRise({ applied }: Evidence): Finding {
  const highest = new Map<string, bigint>();
  const bad: string[] = [];
  for (const { id, postings } of applied) {
    for (const { account, token } of postings) {
      if (token <= (highest.get(account) ?? 0n)) bad.push(`${id} on ${account}`);
      highest.set(account, token);
    }
  }
  return finding('tokens rise on each account', bad, `${applied.length * 2 - bad.length} writes`);
}

function lateWritesRefused({ refusals, lateWrites }: Evidence): Finding {
  const name = 'stale writes refused';
  if (lateWrites.length === 0) return { name, found: `${refusals.length}; none was staged`, ok: undefined };
  const accepted = lateWrites.filter(
    (late) => !refusals.some(({ worker, id }) => worker === late.worker && id === late.id),
  );
  return finding(
    name,
    accepted.map(({ worker, id }) => `${id} by ${worker}`),
    `${refusals.length}, ${lateWrites.length} staged`,
  );
}

function nothingGranted({ outages, grantsDuringOutages }: Evidence): Finding {
  const name = 'granted while etcd was away';
  if (outages.length === 0) return { name, found: 'etcd was not stopped', ok: undefined };
  const awayMs = outages.reduce((sum, outage) => sum + lengthMs(outage), 0);
  return { name, found: `${grantsDuringOutages} in ${seconds(awayMs)}`, ok: grantsDuringOutages === 0 };
}

/** Not a promise but a measure of how much the locks had to do. */
function locksMoved({ applied, takeovers }: Evidence): Finding {
  const last = new Map<string, string>();
  let moves = 0;
  for (const { worker, postings } of applied) {
    for (const { account } of postings) {
      if (last.has(account) && last.get(account) !== worker) moves += 1;
      last.set(account, worker);
    }
  }
  return {
    name: 'locks passed on',
    found: `${moves} times; ${takeovers} taken over from the dead or paused`,
    ok: undefined,
  };
}

function isSame(job: Transfer, { from, to, amount, postings }: Applied): boolean {
  const touched = postings.map(({ account }: Posting) => account);
  return job.from === from && job.to === to && job.amount === amount && isPair(touched, from, to);
}

function isPair(touched: readonly string[], from: string, to: string): boolean {
  return touched.length === 2 && touched.includes(from) && touched.includes(to);
}

function groupById(applied: readonly Applied[]): Map<string, Applied[]> {
  const groups = new Map<string, Applied[]>();
  for (const record of applied) groups.set(record.id, [...(groups.get(record.id) ?? []), record]);
  return groups;
}
