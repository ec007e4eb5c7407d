import { elapsedMs, type Clock, type Instant } from '../runtime/clock.ts';

export interface RetryBudgetOptions {
  /**
   * How many retries each first attempt earns. With 0.1, retries add at most a tenth to the load over time.
   * @default 0.1
   */
  readonly ratio?: number;
  /**
   * How many retries a second are earned by time alone, so that a client with little traffic may still retry.
   * @default 2
   */
  readonly minPerSecond?: number;
  /**
   * The most that can be saved up. The bucket starts full.
   * @default 10
   */
  readonly capacity?: number;
}

/**
 * A token bucket for retries, shared by all calls of one client. Retries help against the failure of one attempt and harm when the
 * server itself is overloaded: then every attempt fails, and retrying multiplies the load. The budget lets the former through and
 * stops the latter, whatever the number of callers (Finagle's RetryBudget; "Addressing Cascading Failures", Google SRE book).
 */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #ratio: number;
  readonly #minPerSecond: number;
  readonly #capacity: number;
  #balance: number;
  #settledAt: Instant;

  constructor(clock: Clock, options: RetryBudgetOptions = {}) {
    const { ratio = 0.1, minPerSecond = 2, capacity = 10 } = options;
    atLeast('ratio', ratio, 0);
    atLeast('minPerSecond', minPerSecond, 0);
    atLeast('capacity', capacity, 1);
    this.#clock = clock;
    this.#ratio = ratio;
    this.#minPerSecond = minPerSecond;
    this.#capacity = capacity;
    this.#balance = capacity;
    this.#settledAt = clock.now();
  }

  /** Retries that could be made now, fractions included. */
  get balance(): number {
    this.#settle();
    return this.#balance;
  }

  /** To be called once for each call, with its first attempt. */
  deposit(): void {
    this.#settle();
    this.#balance = Math.min(this.#capacity, this.#balance + this.#ratio);
  }

  /** Takes one retry out. `false`: there is none left, so do not retry. */
  withdraw(): boolean {
    this.#settle();
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }

  #settle(): void {
    const now = this.#clock.now();
    const earned = (elapsedMs(this.#settledAt, now) / 1_000) * this.#minPerSecond;
    this.#balance = Math.min(this.#capacity, this.#balance + earned);
    this.#settledAt = now;
  }
}

function atLeast(option: string, value: number, least: number): void {
  if (!Number.isFinite(value) || value < least) {
    throw new RangeError(
      `Expected the retry budget's \`${option}\` to be a number of at least ${least}, got ${value}.`,
    );
  }
}
