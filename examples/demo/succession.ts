/** Act 5: the leader of a scheduled job dies in the middle of a run. The next leader starts that run once more, and goes on. */
import type { JobRecord } from 'holdfast';
import type { Report } from './reports.ts';
import type { Stage } from './stage.ts';
import { TICK_MS, timeOf, type Start, type Statement } from './statement.ts';
import { count, money, seconds } from './timeline.ts';

/** Resolves to the start that was cut off. */
export async function leaderDies(stage: Stage): Promise<Start> {
  const { crew, reports, timeline, signal } = stage;
  const stated = await reports.next(statementIn, signal);
  timeline.say(stated.worker, 'leads the scheduled job that all have: to state every second what the books hold');
  timeline.say(stated.worker, states(stated));
  const start = await leaderInRun(stage);
  const { worker, tick } = start;
  timeline.say(
    'nemesis',
    `kills ${worker} (SIGKILL) in the run of ${timeOf(tick)}, before its statement is written`,
    'trouble',
  );
  const at = performance.now();
  const after = (matches: (other: Start) => boolean): Promise<Start> =>
    reports.next((report) => {
      const other = startIn(report);
      return other !== undefined && other.worker !== worker && matches(other) ? other : undefined;
    }, signal);
  const first = after(() => true);
  const onward = after((other) => other.tick > tick);
  const redone = reports.next((report) => {
    const statement = statementIn(report);
    return statement?.tick === tick ? statement : undefined;
  }, signal);
  crew.kill(worker);
  timeline.say('demo', `starts ${crew.hire()} in its place`);

  const { worker: successor, attempt, tick: resumed } = await first;
  timeline.say(
    successor,
    `leads after ${seconds(performance.now() - at)} and starts the run of ${timeOf(resumed)}: attempt ${attempt}`,
    'good',
  );
  const statement = await redone;
  timeline.say(statement.worker, states(statement), 'good');
  const next = await onward;
  timeline.say(next.worker, goesOn(next.tick, tick), 'good');
  return start;
}

/** After the last transfer: one more statement, which has to know of all, then no more. Resolves to what became of every tick. */
export async function statementsEnd({ crew, reports, timeline, signal }: Stage): Promise<{
  readonly records: readonly JobRecord[];
  /** When all transfers were done. A tick has come due since. */
  readonly lastTransferAt: string;
}> {
  const lastTransferAt = new Date().toISOString();
  const last = await reports.next((report) => {
    const statement = statementIn(report);
    return statement !== undefined && statement.tick > lastTransferAt ? statement : undefined;
  }, signal);
  timeline.say(last.worker, states(last), 'good');
  const ended = reports.next((report) => (report.type === 'ended' ? report : undefined), signal);
  crew.tell(last.worker, { type: 'end-statements' });
  return { records: (await ended).records, lastTransferAt };
}

/** Stops the leader in a run that has not written its statement. */
async function leaderInRun({ crew, reports, signal }: Stage): Promise<Start> {
  for (;;) {
    const { start, writesAt } = await reports.next(
      (report) => (report.type === 'started' && report.start.attempt === 1 ? report : undefined),
      signal,
    );
    if (crew.pauseBefore(start.worker, writesAt)) return start;
  }
}

function startIn(report: Report): Start | undefined {
  return report.type === 'started' ? report.start : undefined;
}

function statementIn(report: Report): Statement | undefined {
  return report.type === 'stated' ? report.statement : undefined;
}

function goesOn(tick: string, before: string): string {
  const missed = (Date.parse(tick) - Date.parse(before)) / TICK_MS - 1;
  const passedOver = missed === 0 ? '' : `; ${missed} in between ${missed === 1 ? 'was' : 'were'} missed`;
  return `goes on with the tick of ${timeOf(tick)}${passedOver}`;
}

function states({ tick, transfers, sum }: Statement): string {
  return `states for ${timeOf(tick)}: ${count(transfers)} transfers, ${money(sum)} in all accounts`;
}
