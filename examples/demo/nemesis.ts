/**
 * What goes wrong in the demo, in its first three acts. Each is what a deployment meets sooner or later: a process dies, a process stands still
 * (a long garbage collection, a suspended laptop, a moved virtual machine), etcd is away.
 *
 * A holder is always met between its read and its write, where it hurts: it is stopped as soon as it says that it writes. If its write
 * can have arrived by then, it goes on, and the next one is tried.
 */
import type { Outage } from './evidence.ts';
import { etcdIsAway } from './outage.ts';
import type { Report } from './reports.ts';
import type { Stage } from './stage.ts';
import { describe, overtakes, type Stopped } from './stopped-holder.ts';
import { money, seconds } from './timeline.ts';

export class Nemesis implements Disposable {
  readonly lateWrites: { readonly worker: string; readonly id: string }[] = [];
  readonly outages: Outage[] = [];
  takeovers = 0;
  readonly #stage: Stage;
  readonly #unlisten: (() => void)[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async run(): Promise<void> {
    const { dispatcher, timeline, rollCall, signal } = this.#stage;
    await rollCall.all(({ health }) => health === 'connected', signal);
    timeline.heading('Act 1: a holder dies');
    dispatcher.release(0.3);
    await this.#holderDies();

    timeline.heading('Act 2: a holder stands still, and does not know');
    dispatcher.release(0.65);
    await this.#holderStandsStill();

    timeline.heading('Act 3: etcd is away');
    dispatcher.release(1);
    this.outages.push(await etcdIsAway(this.#stage));
  }

  [Symbol.dispose](): void {
    for (const unlisten of this.#unlisten) unlisten();
  }

  async #holderDies(): Promise<void> {
    const { crew, dispatcher, timeline } = this.#stage;
    const holder = await this.#stopHolder();
    if (holder === undefined) return timeline.say('nemesis', 'finds nobody in a transfer', 'quiet');
    const { worker, job } = holder;
    timeline.say('nemesis', `kills ${worker} (SIGKILL) in ${job.id}: it ${describe(holder)}`, 'trouble');
    const redone = this.#redone(holder);
    const taken = this.#takeover(holder);
    crew.kill(worker);
    timeline.say('demo', `starts ${crew.hire()} in its place`);
    await taken;
    /* The last job of a file is not waited for: the next act is for whoever does it. */
    if (dispatcher.left > 1) await redone;
  }

  async #holderStandsStill(): Promise<void> {
    const { crew, timeline, reports, signal, books, dispatcher } = this.#stage;
    const holder = await this.#stopHolder();
    if (holder === undefined) return timeline.say('nemesis', 'finds nobody in a transfer', 'quiet');
    const { worker, job, touched } = holder;
    timeline.say('nemesis', `pauses ${worker} (SIGSTOP) in ${job.id}: it ${describe(holder)}`, 'trouble');
    const overtaken = reports.next((report) => overtakes(report, holder), signal);
    dispatcher.releaseOn(touched.map(({ account }) => account));
    await this.#takeover(holder);
    const { successor, id, account } = await overtaken;
    timeline.say(successor, `applies ${id}: ${account} is not what ${worker} has read any more`);

    const settled = reports.next(
      (report) =>
        report.type === 'settled' && report.worker === worker && report.job.id === job.id ? report : undefined,
      signal,
    );
    timeline.say(
      'nemesis',
      `resumes ${worker} after ${seconds(performance.now() - holder.at)}; its write arrives late`,
      'trouble',
    );
    crew.resume(worker);
    const { outcome } = await settled;
    const late = { worker, id: job.id };
    if (outcome.kind === 'stale') {
      this.lateWrites.push(late);
      const { account, token, highest } = outcome;
      timeline.say(
        'guard',
        `refuses it: ${account} has seen token ${highest}, and ${worker} comes with ${token}`,
        'refused',
      );
      timeline.say(worker, `learns that its lock was lost (STALE_TOKEN) and gives ${job.id} back`);
      void this.#redone(holder);
      return;
    }
    const record = await books.find(job.id);
    if (record?.worker !== worker) {
      /* Somebody had done all of it in the meantime, and its id makes a repeat harmless. Another write has to be late. */
      timeline.say('books', `know ${job.id} already, and leave it as it is`);
      return await this.#holderStandsStill();
    }
    this.lateWrites.push(late);
    const lost = record.postings.map(({ account, balance }) => `${account} = ${money(balance)}`).join(', ');
    timeline.say('books', `take the late write of ${worker}, and with it old balances: ${lost}`, 'refused');
    timeline.say(
      'books',
      `nobody compared ${touched.map(({ token }) => token).join(' and ')} with what came since`,
      'refused',
    );
  }

  /** Stops a worker that has read and not written yet; `undefined` if no transfer is left to find one in. */
  async #stopHolder(): Promise<Stopped | undefined> {
    const { reports, crew, dispatcher, signal, patience } = this.#stage;
    for (let pass = patience(); ; pass -= 1) {
      const writing = reports.next((report) => (report.type === 'writing' ? report : undefined), signal);
      const found = await Promise.race([writing, dispatcher.finished]);
      if (found === undefined) return undefined;
      if (pass > 0) continue;
      const { worker, job, touched, arrival } = found;
      if (crew.pauseBefore(worker, arrival)) return { worker, job, touched, at: performance.now() };
    }
  }

  /** Resolves when the first of its accounts has gone to a successor; both are counted. */
  #takeover(holder: Stopped): Promise<void> {
    const { timeline } = this.#stage;
    const left = new Map(holder.touched.map(({ account, token }) => [account, token]));
    return new Promise((resolve) => {
      this.#listen((report) => {
        if (report.type !== 'granted' || report.worker === holder.worker) return;
        for (const { account, token } of report.touched) {
          const before = left.get(account);
          if (before === undefined || token <= before) continue;
          left.delete(account);
          this.takeovers += 1;
          const after = seconds(performance.now() - holder.at);
          timeline.say(report.worker, `takes ${account} over after ${after}: token ${token} follows ${before}`, 'good');
          resolve();
        }
      });
    });
  }

  /** Resolves when its transfer has been done by somebody. */
  #redone({ worker, job }: Stopped): Promise<void> {
    return new Promise((resolve) => {
      this.#listen((report) => {
        if (report.type !== 'settled' || report.job.id !== job.id || report.outcome.kind !== 'applied') return;
        const whose = report.worker === worker ? 'under new locks' : `which ${worker} could not finish`;
        this.#stage.timeline.say(report.worker, `applies ${job.id}, ${whose}`, 'good');
        resolve();
      });
    });
  }

  #listen(listener: (report: Report) => void): void {
    this.#unlisten.push(this.#stage.reports.listen(listener));
  }
}
