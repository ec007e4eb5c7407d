/** Takes down what the audit needs and the books do not hold: who was refused, and when locks were granted. */
import type { Refusal } from './audit.ts';
import type { Outage } from './nemesis.ts';
import type { Reports } from './reports.ts';

/** Answers that etcd had sent before it was stopped may be read a moment later. */
const IN_FLIGHT_NS = 500_000_000n;

export class Witness implements Disposable {
  readonly refusals: Refusal[] = [];
  readonly #grantedAt: bigint[] = [];
  readonly #unlisten: () => void;

  constructor(reports: Reports) {
    this.#unlisten = reports.listen((report) => {
      if (report.type === 'granted') this.#grantedAt.push(report.at);
      if (report.type !== 'settled' || report.outcome.kind !== 'stale') return;
      const { account, token, highest } = report.outcome;
      this.refusals.push({ worker: report.worker, id: report.job.id, account, token, highest });
    });
  }

  /** How many locks were granted while etcd was away, by the workers' own clock, which is that of the whole machine. */
  grantsDuring(outages: readonly Outage[]): number {
    const during = ({ from, to }: Outage): bigint[] =>
      this.#grantedAt.filter((at) => at > from + IN_FLIGHT_NS && at < to);
    return outages.flatMap(during).length;
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }
}
