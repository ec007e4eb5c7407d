/** The workloads of which one process at a time does the work. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordinator, HeldLock, Lockable } from '../../lib/index.ts';
import { machineMs } from '../election/machine-clock.ts';
import type { Exclusive } from './history.ts';
import type { Recorder } from './recorder.ts';
import { ask } from './register.ts';

export interface Client {
  readonly coordinator: Coordinator;
  readonly recorder: Recorder;
  /** Of a call that has no limit of its own. */
  readonly deadlineMs: number;
}

export const JOB = { name: 'beat', pattern: '* * * * * *' } as const;

const ACQUIRE_MS = 5_000;
const RETRY_MS = 100;
/** Read and write are so far apart, and in one of so many cases that much farther, which is announced: what is aimed at it has to meet it. */
const WORK_MS = 40;
const LONG_WORKS = 4;
const LONG_WORK_MS = 400;
const IDLE_MS = 60;
/** One in so many turns at the catalogue writes it. */
const WRITES = 4;
const SHORTEST_TERM_MS = 1_500;
const LONGEST_TERM_MS = 6_000;

export function upTo(ms: number): number {
  return Math.random() * ms;
}

/** Raises a counter under the lock, as a read and a write with a pause in between. */
export async function lockWork({ coordinator, recorder, deadlineMs }: Client, registerUrl: string): Promise<never> {
  const lock = coordinator.lock('counter');
  for (;;) {
    const since = machineMs();
    const acquired = await recorder.call({ workload: 'lock', what: 'acquire', limitMs: ACQUIRE_MS }, () =>
      lock.acquire({ timeoutMs: ACQUIRE_MS }),
    );
    if (!('result' in acquired)) {
      await sleep(RETRY_MS);
      continue;
    }
    const held = acquired.result;
    recorder.granted('lock', held, since);
    await raise('guarded', held.token);
    await raise('bare', held.token);
    recorder.sample('lock', held);
    await recorder.call({ workload: 'lock', what: 'release', limitMs: deadlineMs }, () => held.release());
    await sleep(upTo(IDLE_MS));
  }

  /** Looks at nothing but the guard's answer: a client that does not know that it has lost the lock goes on, too. */
  async function raise(counter: 'guarded' | 'bare', lockToken: bigint): Promise<void> {
    const token = lockToken.toString();
    const value = await ask(registerUrl, { kind: 'read', counter, token });
    const isLong = upTo(LONG_WORKS) < 1;
    if (isLong) recorder.announceWrite();
    await sleep(isLong ? LONG_WORK_MS : upTo(WORK_MS));
    if (value === undefined) return;
    const write = `${coordinator.instanceId}/${machineMs()}`;
    const what = counter === 'guarded' ? 'guarded write' : 'bare write';
    await recorder.call({ workload: 'lock', what, limitMs: deadlineMs, value: write }, async () => {
      if ((await ask(registerUrl, { kind: 'write', counter, token, value: value + 1, write })) === undefined)
        throw Object.assign(new Error('The guard refused it.'), { code: 'STALE_TOKEN' });
    });
  }
}

/** Has a seat of two for a while, then reads a catalogue, and now and then writes it. */
export async function sharedWork({ coordinator, recorder, deadlineMs }: Client): Promise<never> {
  const seats = coordinator.semaphore('seats', { permits: 2 });
  const catalogue = coordinator.readWriteLock('catalogue');
  for (;;) {
    await use('permit', seats, (held) => (held.slot === 0 ? 'permit 0' : 'permit 1'));
    if (upTo(WRITES) < 1) await use('write', catalogue.write(), () => 'write');
    else await use('read', catalogue.read(), () => undefined);
    await sleep(upTo(IDLE_MS));
  }

  async function use<Held extends HeldLock>(
    what: string,
    lock: Lockable<Held>,
    exclusive: (held: Held) => Exclusive | undefined,
  ): Promise<void> {
    const since = machineMs();
    const acquired = await recorder.call({ workload: 'shared', what: `acquire ${what}`, limitMs: ACQUIRE_MS }, () =>
      lock.acquire({ timeoutMs: ACQUIRE_MS }),
    );
    if (!('result' in acquired)) {
      await sleep(RETRY_MS);
      return;
    }
    const held = acquired.result;
    const kind = exclusive(held);
    if (kind !== undefined) recorder.granted(kind, held, since);
    await sleep(upTo(WORK_MS));
    if (kind !== undefined) recorder.sample(kind, held);
    await recorder.call({ workload: 'shared', what: `release ${what}`, limitMs: deadlineMs }, () => held.release());
  }
}

/** Leads whenever it is elected, and resigns after a while. */
export async function electionWork({ coordinator, recorder }: Client): Promise<never> {
  const election = coordinator.election('head');
  for (;;) {
    const since = machineMs();
    await election.lead(
      async (leadership) => {
        recorder.granted('election', leadership, since);
        const termMs = SHORTEST_TERM_MS + upTo(LONGEST_TERM_MS - SHORTEST_TERM_MS);
        await sleep(termMs, undefined, { signal: leadership.signal });
        recorder.sample('election', leadership);
      },
      { value: coordinator.instanceId },
    );
  }
}

/** Has a job of every second. */
export function scheduleWork({ coordinator, recorder }: Client): void {
  coordinator.schedule(
    JOB.name,
    JOB.pattern,
    async ({ scheduledFor, attempt, token, signal }) => {
      recorder.write({ kind: 'start', scheduledFor: scheduledFor.getTime(), attempt, token, at: machineMs() });
      recorder.progress('schedule');
      await sleep(WORK_MS, undefined, { signal }).catch(() => {});
    },
    { missed: 'all', onLeaderLoss: 'retry', maxAttempts: 5, historyLimit: 1_000 },
  );
}
