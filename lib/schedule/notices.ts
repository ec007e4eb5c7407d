import type { Runtime } from '../runtime/runtime.ts';
import type { Stretch } from './cadence.ts';
import type { JobKeys, OpenRun } from './job-view.ts';
import type { Settled } from './record.ts';

/** What a term tells people, and what they can do about it. What goes on is told once a term, and not at every look. */
export class Notices {
  readonly #runtime: Runtime;
  readonly #job: string;
  readonly #keys: JobKeys;
  readonly #told = new Set<string>();

  constructor(runtime: Runtime, job: string, keys: JobKeys) {
    this.#runtime = runtime;
    this.#job = job;
    this.#keys = keys;
  }

  missed({ fromMs, toMs, count }: Stretch): void {
    this.#runtime.logger.warn('Ticks were missed', {
      event: 'schedule.missed',
      job: this.#job,
      from: new Date(fromMs),
      to: new Date(toMs),
      count,
    });
  }

  abandoned({ run }: OpenRun, { isRetried }: { readonly isRetried: boolean }): void {
    this.#runtime.logger.warn('The leader of a run was lost before the run had ended', {
      event: 'schedule.abandoned',
      job: this.#job,
      scheduledFor: new Date(run.scheduledForMs),
      instanceId: run.instanceId,
      attempt: run.attempt,
      isRetried,
    });
  }

  unreadable(key: string): void {
    if (!this.#isNew(key)) return;
    this.#runtime.logger.error(
      'A key of a schedule has a value that this package did not write. Delete it: without "last", ticks count from then on.',
      { event: 'schedule.unreadable', job: this.#job, key },
    );
  }

  future({ atMs }: Settled): void {
    if (!this.#isNew(String(atMs))) return;
    this.#runtime.logger.error(
      'The last tick lies in the future of this clock: ours is behind, or an earlier leader was ahead. Nothing is started until ' +
        'then. If an earlier leader was wrong, delete the key; ticks then count from now on, and those that have a record stay done.',
      { event: 'schedule.future', job: this.#job, until: new Date(atMs), key: this.#keys.last },
    );
  }

  refused(error: unknown): void {
    this.#runtime.logger.error('etcd refuses what a schedule needs', {
      event: 'schedule.refused',
      job: this.#job,
      error,
    });
  }

  delayed(error: unknown): void {
    this.#runtime.logger.warn('A schedule could not go on, and tries again', {
      event: 'schedule.delayed',
      job: this.#job,
      error,
    });
  }

  #isNew(what: string): boolean {
    if (this.#told.has(what)) return false;
    this.#told.add(what);
    return true;
  }
}
