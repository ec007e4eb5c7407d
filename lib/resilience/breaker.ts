/**
 * The circuit breaker: who has failed too often is left alone for a while, then asked once.
 *
 * The states and the counting are cockatiel's. Its clock is not: cockatiel asks `Date.now()`, which jumps, and which no test can hold. So
 * the time for which a circuit stays open is one that never passes by cockatiel's clock, until it has passed by ours.
 */
import { circuitBreaker, CircuitState, CountBreaker, handleWhenResult, type IBackoff } from 'cockatiel';
import { elapsedMs, type Clock, type Instant } from '../runtime/clock.ts';
import type { CompleteBreakerOptions } from './policy-options.ts';

/** What an attempt has shown of the other side. `nothing`: it was given up before anything could be seen. */
export type Evidence = 'alive' | 'failing' | 'nothing';

/** `closed`: calls are made. `open`: they are refused. `half-open`: one is made, to see. */
export type BreakerState = 'closed' | 'open' | 'half-open';

class NoEvidence extends Error {}

export class Breaker {
  readonly #clock: Clock;
  readonly #openMs: number;
  readonly #circuit: ReturnType<typeof circuitBreaker>;
  #openedAt: Instant;

  constructor(clock: Clock, { failureRatio, window, minAttempts, openMs }: CompleteBreakerOptions) {
    this.#clock = clock;
    this.#openMs = openMs;
    this.#openedAt = clock.now();
    const open = (): IBackoff<unknown> => {
      this.#openedAt = clock.now();
      const left = (): number => this.#leftMs;
      return {
        get duration() {
          return left() > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
        },
        next: open,
      };
    };
    this.#circuit = circuitBreaker(
      handleWhenResult((evidence) => evidence !== 'alive'),
      {
        breaker: new CountBreaker({ threshold: failureRatio, size: window, minimumNumberOfCalls: minAttempts }),
        halfOpenAfter: { next: open },
      },
    );
  }

  get state(): BreakerState {
    switch (this.#circuit.state) {
      case CircuitState.Closed:
        return 'closed';
      case CircuitState.HalfOpen:
        return 'half-open';
      default:
        return 'open';
    }
  }

  /**
   * Milliseconds until an attempt may be let through, 0 if one is let through now. While the one attempt is under way that shows whether the
   * circuit closes, the others are refused: for how long is not known, and at the worst it is as long again.
   */
  get refusesForMs(): number {
    const { state } = this;
    if (state === 'closed') return 0;
    return state === 'half-open' ? this.#openMs : this.#leftMs;
  }

  /** Does `attempt`, which never rejects, and learns from what it has shown. To be called only if nothing is refused now. */
  async run<T extends { readonly evidence: Evidence }>(attempt: () => Promise<T>): Promise<T> {
    const isProbe = this.state !== 'closed';
    let outcome: T | undefined;
    try {
      await this.#circuit.execute(async () => {
        outcome = await attempt();
        /* A probe that was given up has shown nothing, so the circuit stays open. Otherwise it simply does not count. */
        if (outcome.evidence === 'nothing' && !isProbe) throw new NoEvidence();
        return outcome.evidence;
      });
    } catch (error) {
      if (!(error instanceof NoEvidence)) throw error;
    }
    return outcome as T;
  }

  get #leftMs(): number {
    return Math.max(0, this.#openMs - elapsedMs(this.#openedAt, this.#clock.now()));
  }
}
