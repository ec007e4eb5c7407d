/** What each worker last said of itself, and waiting until all who are there say the same. */
import type { Stretch } from './quotes.ts';
import type { Reports } from './reports.ts';

export interface Said {
  readonly health?: string;
  /** The version of the pace that it works by. */
  readonly version?: number;
  /** Its last answers from memory. */
  readonly stretch?: Stretch;
}

export class RollCall implements Disposable {
  readonly #reports: Reports;
  readonly #present: () => readonly string[];
  readonly #said = new Map<string, Said>();
  readonly #unlisten: () => void;

  constructor(reports: Reports, present: () => readonly string[]) {
    this.#reports = reports;
    this.#present = present;
    this.#unlisten = reports.listen((report) => {
      const { worker } = report;
      if (report.type === 'health') this.#hear(worker, { health: report.state });
      else if (report.type === 'configured') this.#hear(worker, { version: report.version });
      else if (report.type === 'answered') this.#hear(worker, { stretch: report.stretch });
      else if (report.type === 'exited') this.#said.delete(worker);
    });
  }

  /** What those who are there have said last. */
  get said(): readonly Said[] {
    return this.#present().map((worker) => this.#said.get(worker) ?? {});
  }

  /** Resolves when `match` holds for all. Rejects with `signal.reason`. */
  async all(match: (said: Said) => boolean, signal: AbortSignal): Promise<void> {
    const reached = (): true | undefined => (this.said.every(match) ? true : undefined);
    /* Our own listener was there first, so that the map is up to date when this one looks at it. */
    if (reached() === undefined) await this.#reports.next(reached, signal);
  }

  /** As {@link all}, but goes on after so long: what did not happen is for the audit to find. */
  async allWithin(limitMs: number, match: (said: Said) => boolean, signal: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.timeout(limitMs);
    try {
      await this.all(match, AbortSignal.any([limit, signal]));
      return true;
    } catch (error) {
      if (error === limit.reason) return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }

  #hear(worker: string, said: Said): void {
    this.#said.set(worker, { ...this.#said.get(worker), ...said });
  }
}
