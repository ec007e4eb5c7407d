import { expectOptions } from '../arguments.ts';
import { inspectParts } from '../queue/inspect.ts';
import { Calls } from '../session/calls.ts';
import { decodePath } from '../session/keyspace.ts';
import type { KeyValue, RangeRequest } from '../store/store.ts';
import { readStatus, type ControlContext, type JobStatus } from './controls.ts';

/** A job of the namespace, as etcd showed it. */
export interface JobReport extends JobStatus {
  /** The job's. */
  readonly name: string;
  /** The instance that leads it; `undefined` where none does, or one whose name is not known. */
  readonly leader: string | undefined;
  /** How many processes have it: the leader, and those that would take over. */
  readonly candidates: number;
}

/** Three keys a job; etcd takes 128 operations in a transaction by default. */
const JOBS_PER_CALL = 40;

/** The jobs of a namespace, whoever has them. Read through raft, in a few calls: what they tell need not be of one moment. */
export class Roster {
  readonly #context: ControlContext;
  readonly #calls: Calls;

  constructor(context: ControlContext) {
    this.#context = context;
    this.#calls = new Calls(context);
  }

  async reports(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly JobReport[]> {
    expectOptions('jobs', options, ['signal']);
    return this.#calls.within('list the jobs', options.signal, async (signal) => {
      const { runtime, store, repetition, keyspace } = this.#context;
      const prefix = keyspace.kind('schedule');
      const jobs = keyspace.kind('schedule-job');
      const queues = await inspectParts({ runtime, store, repetition, keyspace, prefix, signal });
      /* Without the values: histories are long. */
      const [keys = []] = await this.#calls.read(signal, { prefix: jobs, keysOnly: true });
      const written = keys.map(({ key }) => key.slice(jobs.length).split('/')[0] ?? '');
      const segments = [...new Set([...queues.keys(), ...written])].toSorted();
      const entries = await this.#entriesOf(segments.map(decodePath), signal);
      return segments.map((segment) => {
        const name = decodePath(segment);
        const queue = queues.get(segment);
        return {
          name,
          leader: queue?.holder?.instanceId,
          candidates: queue?.holder === undefined ? 0 : 1 + queue.waiters.length,
          ...readStatus(keyspace.job(name), entries),
        };
      });
    });
  }

  async #entriesOf(names: readonly string[], signal: AbortSignal): Promise<readonly KeyValue[]> {
    const entries: KeyValue[] = [];
    for (let start = 0; start < names.length; start += JOBS_PER_CALL) {
      const [first, ...others] = names.slice(start, start + JOBS_PER_CALL).flatMap((name): RangeRequest[] => {
        const { paused, last, trigger } = this.#context.keyspace.job(name);
        return [{ key: paused }, { key: last }, { key: trigger }];
      });
      if (first !== undefined) entries.push(...(await this.#calls.read(signal, first, ...others)).flat());
    }
    return entries;
  }
}
