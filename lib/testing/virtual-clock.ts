/**
 * Time that a test moves by hand.
 *
 * Guarantees: timers run in the order of their due time, then of their creation; between two of them everything that needs no time
 * has settled; the same program sees the same order in every run. Not covered: real input and output, which knows nothing of
 * this clock.
 */
import { setImmediate } from 'node:timers';
import type { Clock, Instant } from '../runtime/clock.ts';
import { HostClock } from './host-clock.ts';
import { TimerQueue, type Timer } from './timer-queue.ts';

export interface VirtualClockOptions {
  /**
   * What the wall clock shows at the start, in milliseconds since 1970.
   * @default 2026-01-01T00:00:00Z
   */
  readonly wallMs?: number;
  /**
   * How often the event loop turns between two timers. One turn settles promise chains of any length; more are for code that
   * itself yields to the event loop.
   * @default 3
   */
  readonly turns?: number;
}

/** Not zero, so that nothing comes to rely on a monotonic clock that begins there. */
const MONOTONIC_START_MS = 5_000;

/** More timers than these at one instant are a loop that waits for nothing: real time would go on, this one stands still. */
const MAX_TIMERS_AT_ONCE = 100_000;

export class VirtualClock implements Clock {
  readonly #timers = new TimerQueue();
  readonly #turns: number;
  readonly #wallStartMs: number;
  #nowMs = 0;
  /** How many timers have run since the time moved last. */
  #atOnce = 0;
  #wallOffsetMs = 0;
  #moving = false;

  constructor(options: VirtualClockOptions = {}) {
    this.#wallStartMs = options.wallMs ?? Date.UTC(2026, 0, 1);
    this.#turns = options.turns ?? 3;
  }

  /** Virtual milliseconds since this clock was made, untouched by {@link jumpWall} and {@link suspend}. */
  get elapsedMs(): number {
    return this.#nowMs;
  }

  /** How many timers wait. A test of something that was closed expects none. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer is due. */
  get nextTimerMs(): number | undefined {
    const next = this.#timers.peek();
    return next === undefined ? undefined : next.dueMs - this.#nowMs;
  }

  now(): Instant {
    return {
      monotonicMs: MONOTONIC_START_MS + this.#nowMs,
      wallMs: this.#wallStartMs + this.#wallOffsetMs + this.#nowMs,
    };
  }

  schedule(delayMs: number, callback: () => void): () => void {
    if (!Number.isFinite(delayMs)) throw new RangeError(`Expected a finite delay in milliseconds, got ${delayMs}`);
    return this.#timers.add(this.#nowMs + Math.max(0, delayMs), callback);
  }

  /** A clock of one machine or process on this time, which can be paused, suspended or set wrong by itself. */
  host(): HostClock {
    return new HostClock(this);
  }

  /** Lets `durationMs` pass: runs what becomes due, one timer after the other, each once the one before has had all its effects. */
  async advance(durationMs: number): Promise<void> {
    if (!(durationMs >= 0)) throw new RangeError(`Expected a duration of 0 ms or more, got ${durationMs}`);
    const untilMs = this.#nowMs + durationMs;
    await this.#move(async () => {
      for (;;) {
        await this.#turn();
        const timer = this.#takeDue(untilMs);
        if (timer === undefined) break;
        timer.callback();
      }
      this.#nowMs = untilMs;
    });
  }

  /** Lets everything happen that needs no time and no timer. */
  async flush(): Promise<void> {
    await this.#turn();
  }

  /**
   * Moves from timer to timer until `promise` settles, and gives its outcome. Throws if it has not settled within `withinMs` of
   * virtual time, or if no timer is left that could ever settle it.
   */
  async settle<T>(promise: PromiseLike<T>, { withinMs = 60_000 }: { readonly withinMs?: number } = {}): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    const untilMs = this.#nowMs + withinMs;
    await this.#move(async () => {
      for (;;) {
        await this.#turn();
        if (outcome !== undefined) return;
        const timer = this.#takeDue(untilMs);
        if (timer === undefined) throw this.#stillPending(untilMs, withinMs);
        timer.callback();
      }
    });
    if (outcome !== undefined && 'value' in outcome) return outcome.value;
    throw outcome?.error;
  }

  /** Somebody sets the wall clock, forward or back. The monotonic clock does not notice. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The virtual machine slept: the wall clock shows it, the monotonic clock and the timers do not. */
  suspend(durationMs: number): void {
    if (!(durationMs >= 0)) throw new RangeError(`Expected a duration of 0 ms or more, got ${durationMs}`);
    this.#wallOffsetMs += durationMs;
  }

  /** Takes the next timer that is due by then, and moves the time to it. */
  #takeDue(untilMs: number): Timer | undefined {
    const next = this.#timers.peek();
    if (next === undefined || next.dueMs > untilMs) return undefined;
    this.#atOnce = next.dueMs > this.#nowMs ? 0 : this.#atOnce + 1;
    if (this.#atOnce > MAX_TIMERS_AT_ONCE)
      throw new Error(
        `Time stands still at ${this.#nowMs} ms: ${MAX_TIMERS_AT_ONCE} timers have run there, and more come`,
      );
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    return this.#timers.take();
  }

  #stillPending(untilMs: number, withinMs: number): Error {
    const left = this.pendingTimers;
    if (left === 0) return new Error(`The promise is pending and no timer is left: nothing can settle it any more`);
    this.#nowMs = untilMs;
    return new Error(
      `The promise was still pending after ${withinMs} ms of virtual time; ${left} timers are left, the next in ${this.nextTimerMs} ms`,
    );
  }

  /** Only one may move the time: two at once would run timers before the effects of the ones before. */
  async #move(run: () => Promise<void>): Promise<void> {
    if (this.#moving)
      throw new Error('The clock is being moved already: await the first advance() or settle() before the next');
    this.#moving = true;
    try {
      await run();
    } finally {
      this.#moving = false;
    }
  }

  async #turn(): Promise<void> {
    for (let turn = 0; turn < this.#turns; turn += 1) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
  }
}
