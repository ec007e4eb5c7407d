/**
 * The part of the audit that is about the scheduled job: what the workers say that they started, what the job's history in etcd says
 * became of each tick, and what the books have on record have to agree. Pure functions, as in audit.ts.
 */
import type { JobRecord, RunRecord } from 'holdfast';
import { OPENING_BALANCE } from './accounts.ts';
import { finding, type Finding } from './finding.ts';
import { accountsOf, type Transfer } from './jobs.ts';
import { HISTORY_LIMIT, MOST_ATTEMPTS, TICK_MS, timeOf, type Start, type Statement } from './statement.ts';
import { count, money } from './timeline.ts';

export interface StatementEvidence {
  readonly jobs: readonly Transfer[];
  /** What the workers began, as they told it. */
  readonly starts: readonly Start[];
  /** What became of each tick, by the job's history. */
  readonly records: readonly JobRecord[];
  /** What the books have, in the order in which it was written. */
  readonly statements: readonly Statement[];
  /** The start whose leader was killed; `undefined` if history has forgotten it. */
  readonly cutOff: Start | undefined;
  /** When the last transfer was done: a later tick knows of all of them. */
  readonly lastTransferAt: string;
}

export function auditStatements(evidence: StatementEvidence): Finding[] {
  const known = sinceFirstRecord(evidence);
  return [startedOnce(known), allAccountedFor(known), repeatedAfterKill(known), statedOnce(known), addUp(known)];
}

/** With a very long file there are more ticks than history keeps; what it has forgotten is not audited. */
function sinceFirstRecord(evidence: StatementEvidence): StatementEvidence {
  if (evidence.records.length < HISTORY_LIMIT) return evidence;
  const first = evidence.records.map(({ scheduledFor }) => scheduledFor.toISOString()).toSorted()[0] ?? '';
  const isKnown = ({ tick }: Start): boolean => tick >= first;
  const { starts, statements, cutOff } = evidence;
  return {
    ...evidence,
    starts: starts.filter(isKnown),
    statements: statements.filter(isKnown),
    cutOff: cutOff !== undefined && isKnown(cutOff) ? cutOff : undefined,
  };
}

/** One start for each attempt, each of them on record; and whoever starts later has a greater token. */
function startedOnce({ starts, records }: StatementEvidence): Finding {
  const bad = new Set<string>();
  const begun = new Set<string>();
  const onRecord = keysOf(records);
  const shares = new Map<string, number>();
  for (const start of starts) {
    if (begun.has(idOf(start))) bad.add(`${idOf(start)} twice`);
    if (!onRecord.has(keyOf(start))) bad.add(`${idOf(start)} by ${start.worker} is not on record`);
    begun.add(idOf(start));
    shares.set(start.worker, (shares.get(start.worker) ?? 0) + 1);
  }
  let highest = 0n;
  for (const run of runsOf(records)) {
    if (run.token <= highest) bad.add(`${idOf(startOf(run))} with a token of before`);
    highest = run.token;
  }
  const byWorker = [...shares].map(([worker, own]) => `${worker} ${own}`).toSorted();
  return finding('no tick started twice', [...bad], `${starts.length} starts: ${byWorker.join(', ')}`);
}

/** Every second from the first to the last: its last attempt came to an end, as recorded, or it is recorded as missed. */
function allAccountedFor({ records, lastTransferAt }: StatementEvidence): Finding {
  /* Of several attempts the last. */
  const runs = new Map(runsOf(records).map((run) => [run.scheduledFor.getTime(), run]));
  const missed = new Set(records.flatMap((record) => (record.state === 'missed' ? ticksOf(record) : [])));
  const settled = [...runs.keys(), ...missed].toSorted((one, other) => one - other);
  const [firstMs = 0, lastMs = 0] = [settled[0], settled.at(-1)];
  const bad: string[] = [];
  const found = { finished: 0, failed: 0, abandoned: 0, missed: 0 };
  for (let tickMs = firstMs; tickMs <= lastMs; tickMs += TICK_MS) {
    const { state, attempt = 0 } = runs.get(tickMs) ?? {};
    const tick = timeOf(new Date(tickMs).toISOString());
    if (state === undefined && missed.has(tickMs)) found.missed += 1;
    else if (state === undefined) bad.push(`${tick} is forgotten`);
    else if (missed.has(tickMs)) bad.push(`${tick} was started, and missed`);
    else if (state === 'started') bad.push(`${tick} did not end`);
    else if (state === 'abandoned' && attempt < MOST_ATTEMPTS) bad.push(`${tick} was not started again`);
    else found[state] += 1;
  }
  if (new Date(lastMs).toISOString() < lastTransferAt) bad.push('none came after the last transfer');
  const due = (lastMs - firstMs) / TICK_MS + 1;
  const summary = Object.entries(found)
    .filter(([, number]) => number > 0)
    .map(([state, number]) => `${number} ${state}`)
    .join(', ');
  return finding('every tick accounted for', bad, `${due} came due: ${summary}`);
}

/** The run that was cut off is called so, and was started once more by somebody else, to its end. */
function repeatedAfterKill({ records, cutOff }: StatementEvidence): Finding {
  const name = 'run of the killed leader';
  if (cutOff === undefined) return { name, found: 'too long ago for its history', ok: undefined };
  const attempts = runsOf(records).filter((run) => startOf(run).tick === cutOff.tick);
  const before = attempts.find((run) => run.token === cutOff.token);
  const last = attempts.at(-1);
  const isRepeated = last?.state === 'finished' && last.token > cutOff.token && last.instanceId !== cutOff.worker;
  const ok = before?.state === 'abandoned' && isRepeated;
  const states = attempts.map(({ state, instanceId }) => `${state} by ${instanceId}`).join(', ');
  return { name, found: `${timeOf(cutOff.tick)} ${states === '' ? 'is not on record' : states}`, ok };
}

/** Exactly one statement for each tick that is done, by a start of that tick, and none by a start that a newer one has overtaken. */
function statedOnce({ records, statements }: StatementEvidence): Finding {
  const bad = new Set<string>();
  const stated = new Set<string>();
  const onRecord = keysOf(records);
  let highest = 0n;
  for (const statement of statements) {
    if (stated.has(statement.tick)) bad.add(`${timeOf(statement.tick)} twice`);
    if (!onRecord.has(keyOf(statement))) bad.add(`${idOf(statement)} by ${statement.worker}, who did not start it`);
    if (statement.token <= highest) bad.add(`${idOf(statement)} with a token of before`);
    highest = statement.token;
    stated.add(statement.tick);
  }
  for (const run of runsOf(records)) {
    const { tick } = startOf(run);
    if (run.state === 'finished' && !stated.has(tick)) bad.add(`${timeOf(tick)} has none`);
  }
  return finding('one statement for each tick', [...bad], `${statements.length}, under tokens that rise`);
}

/** Each was made of the books at one moment, at which no money was on its way; and the last one knows of everything. */
function addUp({ jobs, statements }: StatementEvidence): Finding {
  const expected = accountsOf(jobs).length * OPENING_BALANCE;
  const [first, ...more] = statements.filter(({ sum }) => sum !== expected);
  const bad = first === undefined ? [] : [`${more.length + 1}, ${timeOf(first.tick)} with ${money(first.sum)} first`];
  const last = statements.at(-1)?.transfers ?? 0;
  if (last !== jobs.length) bad.push(`the last knows of ${count(last)} transfers`);
  return finding('each statement adds up', bad, `to ${money(expected)}; the last knows of ${count(last)} transfers`);
}

/** In the order of ticks and attempts. */
function runsOf(records: readonly JobRecord[]): RunRecord[] {
  const order = (run: RunRecord): number => run.scheduledFor.getTime() + run.attempt / TICK_MS;
  return records
    .filter((record): record is RunRecord => record.state !== 'missed')
    .toSorted((one, other) => order(one) - order(other));
}

function ticksOf({ scheduledFor, until }: { readonly scheduledFor: Date; readonly until: Date }): number[] {
  const length = (until.getTime() - scheduledFor.getTime()) / TICK_MS + 1;
  return Array.from({ length }, (_, index) => scheduledFor.getTime() + index * TICK_MS);
}

function startOf({ instanceId, scheduledFor, attempt, token }: RunRecord): Start {
  return { worker: instanceId, tick: scheduledFor.toISOString(), attempt, token };
}

function keysOf(records: readonly JobRecord[]): Set<string> {
  return new Set(runsOf(records).map((run) => keyOf(startOf(run))));
}

/** All that is known of a start. */
function keyOf({ worker, tick, attempt, token }: Start): string {
  return [worker, tick, attempt, token].join(' ');
}

function idOf({ tick, attempt }: Start): string {
  return attempt === 1 ? timeOf(tick) : `${timeOf(tick)}#${attempt}`;
}
