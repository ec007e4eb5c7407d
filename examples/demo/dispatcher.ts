/**
 * A queue as services have them: every job is delivered at least once. One that a worker gives back, takes down with it, or keeps for
 * too long is delivered again, so two workers may have the same job: what makes it count once is the guard and the transfer's id.
 */
import type { Transfer } from './jobs.ts';
import type { ToWorker } from './messages.ts';
import type { Report, Reports } from './reports.ts';

export interface DispatcherOptions {
  /** After how long a job that is not heard of is delivered again, in milliseconds. */
  readonly visibilityMs: number;
  readonly tell: (worker: string, message: ToWorker) => void;
  /** Called when a job waited too long for its worker. */
  readonly onOverdue: (worker: string, job: Transfer) => void;
}

/** So many jobs more are let out when all that were out are done. */
const MORE = 3;

/** A job whose accounts were taken lets this many others go first. */
const BUSY_BEHIND = 3;

interface Delivery {
  readonly worker: string;
  readonly job: Transfer;
  readonly timer: NodeJS.Timeout;
}

export class Dispatcher implements Disposable {
  /** Resolves when every job is done. */
  readonly finished: Promise<void>;
  readonly #options: DispatcherOptions;
  /** Jobs that are not for delivery yet. */
  readonly #withheld: Transfer[];
  readonly #waiting: Transfer[] = [];
  readonly #deliveries = new Map<string, Delivery>();
  readonly #idle = new Set<string>();
  readonly #done = new Map<string, string>();
  readonly #total: number;
  readonly #unlisten: () => void;
  #finish: () => void = () => {};

  constructor(jobs: readonly Transfer[], reports: Reports, options: DispatcherOptions) {
    this.#total = jobs.length;
    this.#withheld = [...jobs];
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#unlisten = reports.listen((report) => this.#hear(report));
  }

  /** How many jobs are not done. */
  get left(): number {
    return this.#total - this.#done.size;
  }

  /** How many jobs are done, and by whom. */
  get done(): { readonly total: number; readonly byWorker: ReadonlyMap<string, number> } {
    const byWorker = new Map<string, number>();
    for (const worker of this.#done.values()) byWorker.set(worker, (byWorker.get(worker) ?? 0) + 1);
    return { total: this.#done.size, byWorker };
  }

  /**
   * Lets this share of all jobs out, counted from the first: the acts of the demo need something to happen in each of them. Where that was not enough
   * for an act, more follow: it would wait for ever.
   */
  release(share: number): void {
    this.#letOut(Math.ceil(this.#total * share) - this.#out);
    this.#deliver();
  }

  /** Lets one more out that needs one of these accounts, if there is any. */
  releaseOn(accounts: readonly string[]): void {
    const place = this.#withheld.findIndex(({ from, to }) => accounts.includes(from) || accounts.includes(to));
    if (place !== -1) this.#waiting.push(...this.#withheld.splice(place, 1));
    this.#deliver();
  }

  [Symbol.dispose](): void {
    this.#unlisten();
    for (const { timer } of this.#deliveries.values()) clearTimeout(timer);
  }

  /** How many jobs were let out until now. */
  get #out(): number {
    return this.#total - this.#withheld.length;
  }

  #letOut(count: number): void {
    this.#waiting.push(...this.#withheld.splice(0, count));
  }

  #hear(report: Report): void {
    if (report.type === 'idle') {
      this.#idle.add(report.worker);
    } else if (report.type === 'settled') {
      const { worker, job, outcome } = report;
      if (outcome.kind === 'applied' || outcome.kind === 'repeated') this.#acknowledge(worker, job);
      else if (this.#deliveries.get(job.id)?.worker === worker) this.#takeBack(job.id, outcome.kind === 'busy');
    } else if (report.type === 'exited') {
      this.#idle.delete(report.worker);
      for (const { worker, job } of [...this.#deliveries.values()]) {
        if (worker === report.worker) this.#takeBack(job.id, false);
      }
    }
    this.#deliver();
  }

  #acknowledge(worker: string, job: Transfer): void {
    clearTimeout(this.#deliveries.get(job.id)?.timer);
    this.#deliveries.delete(job.id);
    const waiting = this.#waiting.findIndex(({ id }) => id === job.id);
    if (waiting !== -1) this.#waiting.splice(waiting, 1);
    if (!this.#done.has(job.id)) this.#done.set(job.id, worker);
    if (this.#done.size === this.#total) this.#finish();
    else if (this.#done.size === this.#out) this.#letOut(MORE);
  }

  #takeBack(id: string, busy: boolean): void {
    const delivery = this.#deliveries.get(id);
    if (delivery === undefined) return;
    clearTimeout(delivery.timer);
    this.#deliveries.delete(id);
    this.#waiting.splice(busy ? BUSY_BEHIND : 0, 0, delivery.job);
  }

  #deliver(): void {
    for (const worker of [...this.#idle]) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#idle.delete(worker);
      const timer = setTimeout(() => {
        this.#options.onOverdue(worker, job);
        this.#takeBack(job.id, false);
        this.#deliver();
      }, this.#options.visibilityMs);
      this.#deliveries.set(job.id, { worker, job, timer });
      this.#options.tell(worker, { type: 'take', job });
    }
  }
}
