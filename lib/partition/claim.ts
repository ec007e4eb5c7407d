import { ClosedError, CoordinationUnavailableError } from '../errors.ts';
import type { Contest } from '../queue/contest.ts';
import { tellOfStuckWork } from '../queue/narration.ts';
import type { Tenure } from '../queue/tenure.ts';
import { fullJitterMs } from '../resilience/backoff.ts';
import { onAbort } from '../runtime/abort.ts';
import { elapsedMs, sleep } from '../runtime/clock.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { textOf } from '../runtime/thrown.ts';
import { HeldPartition } from './held-partition.ts';

/** What is done under a partition, until its signal aborts. */
export type PartitionWork = (partition: number, held: HeldPartition) => unknown;

/** After work that ended by itself, or a loss. One that lasted begins anew at the base. */
const AGAIN = { baseMs: 200, capMs: 5_000 };

/** As work counts that did last: longer than the longest wait. */
const LASTING_MS = 10_000;

/**
 * This process's claim on one partition that falls to it: queues for it, works while it has it, and queues again, until it is told to
 * stop. What goes wrong with one partition is kept to it: its work is begun anew after a while, and the others go on.
 */
export class Claim {
  readonly partition: number;
  /** Resolves when it was told to stop and its work has ended. Rejects with what will not mend: AccessDeniedError. */
  readonly ended: Promise<void>;
  readonly #runtime: Runtime;
  readonly #contest: Contest;
  readonly #work: PartitionWork;
  readonly #drainMs: number;
  readonly #stopped = new AbortController();
  #tenure: Tenure | undefined;
  #isWorking = false;

  constructor(
    runtime: Runtime,
    contest: Contest,
    partition: number,
    work: PartitionWork,
    { drainMs }: { readonly drainMs: number },
  ) {
    this.#runtime = runtime;
    this.#contest = contest;
    this.partition = partition;
    this.#work = work;
    this.#drainMs = drainMs;
    this.ended = this.#keep();
  }

  get isOwned(): boolean {
    return this.#tenure?.isHeld() === true;
  }

  /** Work that has begun and not ended, whether the partition is still owned or not. */
  get isWorking(): boolean {
    return this.#isWorking;
  }

  /** Tells the work to stop. The partition is given up when it has. */
  stop(reason: Error): void {
    this.#stopped.abort(reason);
  }

  async #keep(): Promise<void> {
    const { clock, random } = this.#runtime;
    const { signal } = this.#stopped;
    for (let failures = 0; ;) {
      const begunAt = clock.now();
      const tenure = await this.#join(signal);
      if (tenure !== undefined) await this.#take(tenure);
      if (signal.aborted) return;
      failures = elapsedMs(begunAt, clock.now()) > LASTING_MS ? 0 : failures + 1;
      const pauseMs = fullJitterMs(failures, AGAIN, () => random.uniform());
      await sleep(clock, pauseMs, signal).catch(() => {});
      if (signal.aborted) return;
    }
  }

  async #join(signal: AbortSignal): Promise<Tenure | undefined> {
    try {
      return await this.#contest.join({ signal, waitForRecovery: true });
    } catch (error) {
      /* A coordinator that closes tells whoever owns to stop; and etcd may answer that it cannot now, for want of space. */
      if (signal.aborted || error instanceof ClosedError) return undefined;
      if (!(error instanceof CoordinationUnavailableError)) throw error;
      this.#note('warn', 'partition.unavailable', error.message);
      return undefined;
    }
  }

  /** It may have been told to stop, or have lost it, in the very moment in which it got it: no work begins then. */
  async #take(tenure: Tenure): Promise<void> {
    if (!this.#stopped.signal.aborted && tenure.isHeld()) return this.#serve(tenure);
    await this.#contest.release(tenure).catch(() => {});
  }

  async #serve(tenure: Tenure): Promise<void> {
    const unlisten = onAbort(this.#stopped.signal, (reason) => tenure.interrupt(reason));
    let cancel = (): void => {};
    const stopListening = onAbort(tenure.signal, () => {
      cancel = this.#runtime.clock.schedule(this.#drainMs, () => this.#reportStuck(tenure));
    });
    this.#tenure = tenure;
    const { result, loss } = await this.#contest.conduct(tenure, async () => {
      this.#isWorking = true;
      try {
        return await this.#work(this.partition, new HeldPartition(this.partition, tenure));
      } finally {
        /* What is left to do is etcd's, and no work that is stuck. */
        this.#isWorking = false;
        stopListening();
        cancel();
      }
    });
    this.#tenure = undefined;
    unlisten();
    if (loss !== undefined) this.#note('warn', 'partition.lost', loss.message);
    /* Whoever was told to stop may end with any error. */
    else if ('error' in result && tenure.interruption === undefined) {
      this.#note('error', 'partition.failed', textOf(result.error));
    }
  }

  #reportStuck(tenure: Tenure): void {
    const fate =
      tenure.loss() === undefined
        ? 'nobody else is given the partition before it ends'
        : 'the partition is lost, so only its guarded writes are safe';
    this.#note(
      'error',
      'partition.stuck',
      `its work was told to stop and still runs ${this.#drainMs} ms later; ${fate}`,
    );
    tellOfStuckWork(tenure, this.#drainMs);
  }

  #note(level: 'warn' | 'error', event: string, reason: string): void {
    const { name } = this.#contest.identity;
    this.#runtime.logger[level](`The ${name}: ${reason}`, { event, partition: this.partition, reason });
  }
}
