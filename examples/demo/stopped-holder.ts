/** A worker that was stopped between its read and its write: what it holds, and when somebody has overtaken it. */
import type { Fenced } from './accounts.ts';
import type { Transfer } from './jobs.ts';
import type { Report } from './reports.ts';

export interface Stopped {
  readonly worker: string;
  readonly job: Transfer;
  readonly touched: readonly Fenced[];
  /** When it was stopped, as performance.now() tells it. */
  readonly at: number;
}

/** Whether the report is of a transfer that a newer holder of one of its accounts has applied: what it had read is not true any more. */
export function overtakes(
  report: Report,
  { worker, touched }: Stopped,
): { readonly successor: string; readonly id: string; readonly account: string } | undefined {
  if (report.type !== 'settled' || report.outcome.kind !== 'applied' || report.worker === worker) return undefined;
  const before = new Map(touched.map(({ account, token }) => [account, token]));
  const newer = report.outcome.touched.find(({ account, token }) => token > (before.get(account) ?? token));
  return newer === undefined ? undefined : { successor: report.worker, id: report.job.id, account: newer.account };
}

export function describe({ touched }: Stopped): string {
  return `holds ${names(touched)} (tokens ${tokens(touched)}), has read both and not written yet`;
}

export function names(touched: readonly Fenced[]): string {
  return touched.map(({ account }) => account).join(' and ');
}

export function tokens(touched: readonly Fenced[]): string {
  return touched.map(({ token }) => token).join(' and ');
}
