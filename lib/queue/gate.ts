import type { Health } from '../health/health.ts';
import { onAbort } from '../runtime/abort.ts';
import { elapsedMs, type Clock } from '../runtime/clock.ts';
import type { JoinOptions } from './line.ts';
import type { Tenure } from './tenure.ts';

/** Goes into the queue, with what is left of the time. */
type Enter = (options: JoinOptions) => Promise<Tenure>;

interface Waiter {
  readonly waitForRecovery: boolean;
  readonly pass: () => void;
  readonly refuse: (error: unknown) => void;
}

/**
 * How many of this process stand, at a time, in a queue that several may have at once: as many as may have it. The others wait here, in order,
 * and cost etcd nothing.
 */
export class Gate {
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #places: number;
  readonly #timeoutOf: (waitedMs: number) => Error;
  readonly #onIdle: () => void;
  readonly #waiters = new Set<Waiter>();
  #inside = 0;

  constructor(
    clock: Clock,
    health: Health,
    places: number,
    timeoutOf: (waitedMs: number) => Error,
    onIdle: () => void,
  ) {
    this.#clock = clock;
    this.#health = health;
    this.#places = places;
    this.#timeoutOf = timeoutOf;
    this.#onIdle = onIdle;
  }

  /** Waits for a place, and then in the queue; the place is free again when the tenure is over. Rejects as {@link Enter} does. */
  async join(options: JoinOptions, enter: Enter): Promise<Tenure> {
    const { timeoutMs } = options;
    const begunAt = this.#clock.now();
    if (this.#inside >= this.#places) await this.#pass(options);
    else this.#inside += 1;
    try {
      const waitedMs = elapsedMs(begunAt, this.#clock.now());
      const left = timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, timeoutMs - waitedMs) };
      const tenure = await enter({ ...options, ...left });
      void tenure.ended.then(() => this.#leave());
      return tenure;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** Lets those in who do not wait for a recovery: the queue itself has something to say to them. */
  refuseWhileDegraded(): void {
    for (const { waitForRecovery, pass } of [...this.#waiters]) {
      if (waitForRecovery) continue;
      this.#inside += 1;
      pass();
    }
  }

  close(error: Error): void {
    for (const { refuse } of [...this.#waiters]) refuse(error);
  }

  /** Resolves with a place. */
  #pass({ timeoutMs, signal, waitForRecovery = false }: JoinOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = (): void => {};
      let cancel = (): void => {};
      const settle = (act: () => void): void => {
        if (!this.#waiters.delete(waiter)) return;
        stop();
        cancel();
        act();
      };
      const waiter: Waiter = {
        waitForRecovery,
        pass: () => settle(resolve),
        refuse: (error) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
      if (timeoutMs !== undefined) {
        cancel = this.#clock.schedule(timeoutMs, () => waiter.refuse(this.#timeoutOf(timeoutMs)));
      }
      stop = onAbort(signal, waiter.refuse);
      if (this.#health.state === 'degraded') this.refuseWhileDegraded();
    });
  }

  #leave(): void {
    const [next] = this.#waiters;
    if (next !== undefined && this.#inside <= this.#places) {
      next.pass();
      return;
    }
    this.#inside -= 1;
    if (this.#inside === 0 && next === undefined) this.#onIdle();
  }
}
