/** The starts of the scheduled job, and the judge of them. */
import type { JobRecord } from '../../lib/index.ts';
import type { History, Start } from './history.ts';

/** What the job has written down of a tick, or of ticks that were missed; instants in milliseconds of wall time. */
export interface TickRecord {
  /** Of the run; absent: missed. */
  readonly token?: bigint;
  readonly from: number;
  readonly until: number;
}

const TICK_MS = 1_000;

export function tickRecords(records: readonly JobRecord[]): TickRecord[] {
  return records.map((record) => {
    const from = record.scheduledFor.getTime();
    if (record.state === 'missed') return { from, until: record.until.getTime() };
    return { token: record.token, from, until: from };
  });
}

/** T1 across a restore: an attempt of which the backup knew is not started again. What was started later, nobody knows of any more. */
export function judgeRestarts(before: readonly History[], after: readonly History[], backupAt: number): string[] {
  const known = new Set(before.flatMap(startsOf).flatMap((start) => (start.at < backupAt ? [named(start)] : [])));
  return after.flatMap((history) =>
    startsOf(history)
      .filter((start) => known.has(named(start)))
      .map((start) => `T1 ${named(start)} was started by ${history.client} again, though it was in the backup`),
  );
}

function startsOf({ events }: History): Start[] {
  return events.filter((event) => event.kind === 'start');
}

function named({ scheduledFor, attempt }: Start): string {
  return `${new Date(scheduledFor).toISOString()}, attempt ${attempt}`;
}

/**
 * T1: no attempt at a tick was started twice, and each start stands in the job's own history. T2: every tick from the first to the last
 * recorded one ran, or is recorded as missed. `records` may lack the oldest.
 */
export function judgeTicks(histories: readonly History[], records: readonly TickRecord[]): string[] {
  const violations: string[] = [];
  const runs = records.filter(({ token }) => token !== undefined);
  const first = Math.min(...runs.map(({ from }) => from));
  const last = Math.max(...runs.map(({ from }) => from));

  const seen = new Map<string, string>();
  for (const history of histories) {
    const { client } = history;
    for (const { token, scheduledFor, ...rest } of startsOf(history)) {
      const start = named({ token, scheduledFor, ...rest });
      const other = seen.get(start);
      if (other !== undefined) violations.push(`T1 ${start} was started by ${other} and by ${client}`);
      seen.set(start, client);
      /* The oldest tick of which records are left may have lost those of its first attempts. */
      if (scheduledFor <= first) continue;
      const record = runs.find((run) => run.token === token);
      if (record?.from !== scheduledFor) violations.push(`T1 ${start} by ${client} has no record`);
    }
  }

  const accounted = new Set<number>();
  for (const { from, until } of records) for (let at = from; at <= until; at += TICK_MS) accounted.add(at);
  for (let at = first; at <= last; at += TICK_MS) {
    if (!accounted.has(at)) violations.push(`T2 ${new Date(at).toISOString()} is lost`);
  }
  return violations;
}
