import { StaleTokenError } from '../errors.ts';
import { memoryGuard } from '../guards/memory.ts';
import { sleep } from '../runtime/clock.ts';
import type { VirtualClock } from '../testing/virtual-clock.ts';
import type { Machine } from './machine.ts';

/** What a read answers. `undefined`: refused as stale. */
export type ReadAnswer = { readonly value: number } | undefined;

/**
 * A counter somewhere else, which every holder reads and then writes plus one. Requests travel on the world's time, so they arrive
 * although their sender has been stopped meanwhile. Beside the guarded counter stands one without a guard, to show
 * that the same run would have lost updates.
 */
export class Register {
  readonly #clock: VirtualClock;
  readonly #guard = memoryGuard();
  readonly #values = new Map<string, { guarded: number; plain: number }>();
  /** Writes that were accepted, and that destroyed one that the writer had not read. */
  lost = 0;
  lostWithoutGuard = 0;
  refused = 0;
  accepted = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  async read(
    machine: Machine,
    lock: string,
    token: bigint,
    delayMs: number,
  ): Promise<{ readonly guarded: ReadAnswer; readonly plain: number }> {
    await sleep(this.#clock, delayMs);
    const values = this.#of(lock);
    const guarded = this.#passes(lock, token) ? { value: values.guarded } : undefined;
    const { plain } = values;
    await sleep(machine.host, delayMs);
    return { guarded, plain };
  }

  /** Resolves with whether the guard let it pass, when the answer is back at the sender. */
  async write(
    machine: Machine,
    lock: string,
    token: bigint,
    read: { readonly guarded: ReadAnswer; readonly plain: number },
    delayMs: number,
  ): Promise<boolean> {
    await sleep(this.#clock, delayMs);
    const values = this.#of(lock);
    if (values.plain !== read.plain) this.lostWithoutGuard += 1;
    values.plain = read.plain + 1;
    const passes = read.guarded !== undefined && this.#passes(lock, token);
    if (passes) {
      if (values.guarded !== read.guarded.value) this.lost += 1;
      values.guarded = read.guarded.value + 1;
      this.accepted += 1;
    }
    await sleep(machine.host, Math.min(delayMs, 20));
    return passes;
  }

  #passes(lock: string, token: bigint): boolean {
    try {
      this.#guard.check(lock, token);
      return true;
    } catch (error) {
      if (!(error instanceof StaleTokenError)) throw error;
      this.refused += 1;
      return false;
    }
  }

  #of(lock: string): { guarded: number; plain: number } {
    const values = this.#values.get(lock) ?? { guarded: 0, plain: 0 };
    this.#values.set(lock, values);
    return values;
  }
}
