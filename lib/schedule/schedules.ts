import { expectText } from '../arguments.ts';
import type { ElectionContext } from '../election/election.ts';
import type { ClosedError } from '../errors.ts';
import type { Session } from '../session/session.ts';
import { JobControls } from './controls.ts';
import { completeOptions, type ScheduleOptions } from './job-options.ts';
import { Job, type ScheduleContext } from './job.ts';
import { PeerClocks } from './peer-clocks.ts';
import { Roster, type JobReport } from './roster.ts';
import { Steadiness } from './steadiness.ts';
import type { Work } from './tick.ts';

/** The jobs of one coordinator. */
export class Schedules {
  readonly #context: ScheduleContext;
  readonly #jobs = new Map<string, Job>();

  constructor(
    context: ElectionContext,
    session: (signal: AbortSignal) => Promise<Session>,
    { instanceId }: { readonly instanceId: string },
  ) {
    const { runtime, store, repetition, keyspace } = context;
    const peers = new PeerClocks(runtime, store, repetition, session, keyspace.clock, instanceId);
    this.#context = { ...context, instanceId, peers, steadiness: new Steadiness(runtime.clock.now()) };
  }

  /** Throws a TypeError or RangeError for what cannot work, and for a name that this coordinator has already. */
  open(name: string, pattern: string, work: Work, options: ScheduleOptions): Job {
    expectText('the name of the schedule', name);
    const complete = completeOptions(pattern, options);
    if (this.#jobs.has(name)) {
      throw new TypeError(
        `Expected one schedule of a name in a coordinator, and there is a ${JSON.stringify(name)} already. Stop it first.`,
      );
    }
    const job = new Job(this.#context, name, work, complete, () => this.#jobs.delete(name));
    this.#jobs.set(name, job);
    this.#context.peers.join();
    return job;
  }

  controls(name: string): JobControls {
    return new JobControls(this.#context, name);
  }

  reports(options: { readonly signal?: AbortSignal | undefined }): Promise<readonly JobReport[]> {
    return new Roster(this.#context).reports(options);
  }

  /** Stops all jobs, and waits for what runs for at most `drainMs`. Never rejects. */
  async close(reason: ClosedError, drainMs: number): Promise<void> {
    await Promise.all([...this.#jobs.values()].map((job) => job.close(drainMs, reason)));
    await this.#context.peers.close();
  }
}
