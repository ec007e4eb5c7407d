/** Takes down what the audit needs and the books do not hold: who was refused, when locks were granted, and what was read. */
import type { Answers, Configured, Outage, Refusal } from './evidence.ts';
import type { Report, Reports } from './reports.ts';
import type { Start } from './statement.ts';

/** Between these two a lock was granted. */
type Grant = Pick<Extract<Report, { readonly type: 'granted' }>, 'askedAt' | 'at'>;

export class Witness implements Disposable {
  readonly refusals: Refusal[] = [];
  /** In the order in which each worker gave them. */
  readonly answers: Answers[] = [];
  readonly configured: Configured[] = [];
  readonly starts: Start[] = [];
  readonly #grants: Grant[] = [];
  readonly #unlisten: () => void;

  constructor(reports: Reports) {
    this.#unlisten = reports.listen((report) => {
      if (report.type === 'granted') this.#grants.push(report);
      if (report.type === 'answered') this.answers.push({ worker: report.worker, ...report.stretch });
      if (report.type === 'configured') this.configured.push(report);
      if (report.type === 'started') this.starts.push(report.start);
      if (report.type !== 'settled' || report.outcome.kind !== 'stale') return;
      const { account, token, highest } = report.outcome;
      this.refusals.push({ worker: report.worker, id: report.job.id, account, token, highest });
    });
  }

  /**
   * How many locks were granted while etcd was away: both asked for and granted, by the workers' own clock, which is that of the whole machine. An
   * answer that etcd had sent before may be read at any time.
   */
  grantsDuring(outages: readonly Outage[]): number {
    const during = ({ from, to }: Outage): Grant[] =>
      this.#grants.filter(({ askedAt, at }) => askedAt > from && at < to);
    return outages.flatMap(during).length;
  }

  /** How many answers were given from memory since then, as far as they have been told, and on which versions they rested. */
  answersSince(from: bigint): { readonly answers: number; readonly versions: readonly number[] } {
    const since = this.answers.filter((stretch) => stretch.from >= from);
    const answers = since.reduce((sum, stretch) => sum + stretch.answers, 0);
    return { answers, versions: [...new Set(since.map(({ version }) => version))] };
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }
}
