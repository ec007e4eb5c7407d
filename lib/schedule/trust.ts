import type { Runtime } from '../runtime/runtime.ts';
import type { Comparison, PeerClocks } from './peer-clocks.ts';
import type { Steadiness } from './steadiness.ts';

/** After a jump, until the others are asked what to make of it; and without others, until it is believed. */
const STEADY_MS = 10_000;
const STEADY_ALONE_MS = 60_000;

/** At the beginning of a term: jobs whose leader was lost together ask together. */
const FRESH_MS = 10_000;

/** In a long term: a clock without NTP drifts by minutes in a month, and a new process may know better. */
const ASK_AGAIN_MS = 3_600_000;

/**
 * Whether the wall clock may be believed, in one term. It is asked before anything is claimed by it. A clock that is behind is: it is
 * late, and eats nothing.
 */
export class Trust {
  readonly #runtime: Runtime;
  readonly #peers: PeerClocks;
  readonly #job: string;
  readonly #maxSkewMs: number;
  readonly #steadiness: Steadiness;
  #hasAsked = false;

  constructor(
    runtime: Runtime,
    peers: PeerClocks,
    steadiness: Steadiness,
    { job, maxSkewMs }: { readonly job: string; readonly maxSkewMs: number },
  ) {
    this.#runtime = runtime;
    this.#peers = peers;
    this.#steadiness = steadiness;
    this.#job = job;
    this.#maxSkewMs = maxSkewMs;
  }

  /** Whether to claim now, to look again later, or to let somebody else lead. */
  async look(signal: AbortSignal): Promise<'trusted' | 'stand-back' | { readonly waitMs: number }> {
    const steadyForMs = this.#steadyForMs();
    const hasJumped = !this.#steadiness.isConfirmed;
    if (hasJumped && steadyForMs < STEADY_MS) return wait(STEADY_MS - steadyForMs);
    const sinceSteadyMs = hasJumped ? steadyForMs - STEADY_MS : Number.POSITIVE_INFINITY;
    const maxAgeMs = Math.min(sinceSteadyMs, this.#hasAsked ? ASK_AGAIN_MS : FRESH_MS);
    const comparison = await this.#peers.compare(maxAgeMs, signal);
    /* It can have jumped while the others were asked. */
    const stillSteadyForMs = this.#steadyForMs();
    if (stillSteadyForMs < steadyForMs) return { waitMs: STEADY_MS };
    if (comparison.aheadMs > this.#maxSkewMs) {
      this.#warnAhead(comparison);
      return 'stand-back';
    }
    if (hasJumped && comparison.peers.length === 0 && stillSteadyForMs < STEADY_ALONE_MS) {
      return wait(STEADY_ALONE_MS - stillSteadyForMs);
    }
    this.#hasAsked = true;
    this.#steadiness.confirm();
    return 'trusted';
  }

  #steadyForMs(): number {
    const now = this.#runtime.clock.now();
    const jumpMs = this.#steadiness.look(now);
    if (jumpMs !== 0) {
      this.#runtime.logger.warn('The wall clock has jumped; no tick is started until it is known to be right', {
        event: 'schedule.jumped',
        job: this.#job,
        jumpMs: Math.round(jumpMs),
      });
    }
    return this.#steadiness.forMs(now);
  }

  #warnAhead({ aheadMs, peers }: Comparison): void {
    this.#runtime.logger.error(
      'The clock of this process is ahead of the others. It starts no ticks and lets somebody else lead. Check NTP on this machine.',
      { event: 'schedule.ahead', job: this.#job, aheadMs, peers: peers.slice(0, 20) },
    );
  }
}

/** A rest of less than a timer can wait would be asked for again and again. */
function wait(waitMs: number): { readonly waitMs: number } {
  return { waitMs: Math.max(1, waitMs) };
}
