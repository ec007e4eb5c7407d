import type { Health } from '../health/health.ts';
import { onAbort } from '../runtime/abort.ts';
import { elapsedMs, type Clock } from '../runtime/clock.ts';
import type { LineIdentity } from './custody.ts';
import { unavailable, type JoinOptions, type Line } from './line.ts';
import type { Tenure } from './tenure.ts';

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
  readonly #identity: LineIdentity;
  readonly #places: number;
  readonly #onIdle: () => void;
  readonly #waiters = new Set<Waiter>();
  readonly #lines = new Set<Line>();
  #inside = 0;

  constructor(clock: Clock, health: Health, identity: LineIdentity, places: number, onIdle: () => void) {
    this.#clock = clock;
    this.#health = health;
    this.#identity = identity;
    this.#places = places;
    this.#onIdle = onIdle;
  }

  /** Waits for a place, and then in a line of its own; the place is free again when the tenure is over. Rejects as {@link Line.join} does. */
  async join(options: JoinOptions, enter: () => Line): Promise<Tenure> {
    const { timeoutMs } = options;
    const begunAt = this.#clock.now();
    if (this.#inside >= this.#places) await this.#pass(options);
    else this.#inside += 1;
    let line: Line | undefined;
    const leave = (): void => {
      if (line !== undefined) this.#lines.delete(line);
      this.#leave();
    };
    try {
      line = enter();
      this.#lines.add(line);
      const waitedMs = elapsedMs(begunAt, this.#clock.now());
      const left =
        timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, timeoutMs - waitedMs), patienceMs: timeoutMs };
      const tenure = await line.join({ ...options, ...left });
      void tenure.ended.then(leave);
      return tenure;
    } catch (error) {
      leave();
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
        cancel = this.#clock.schedule(timeoutMs, () => waiter.refuse(this.#timeout(timeoutMs)));
      }
      stop = onAbort(signal, waiter.refuse);
      if (this.#health.state === 'degraded') this.refuseWhileDegraded();
    });
  }

  /** Those inside have it, or wait for somebody who has; or etcd does not answer them. */
  #timeout(waitedMs: number): Error {
    const isContended = [...this.#lines].some((line) => line.isContended);
    return isContended ? this.#identity.timeoutOf(waitedMs) : unavailable(this.#identity, this.#health);
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
