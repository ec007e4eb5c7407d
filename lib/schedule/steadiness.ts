import type { Instant } from '../runtime/clock.ts';

/** More than this between two looks is no slewing: somebody has set the wall clock, or the machine was suspended. */
const JUMP_MS = 1_000;

/**
 * Whether the wall clock of this process runs as its monotonic one does. It can be wrong and steady; who could say so are the others,
 * see peer-clocks.ts. One for a coordinator, since a clock that jumps ahead by more than a TTL ends the session, and with it the term that
 * would have noticed. Pure: it is told what time it is.
 */
export class Steadiness {
  #offsetMs: number;
  /** On the monotonic clock: since when it has run steadily. */
  #sinceMs: number;
  #isConfirmed = true;

  constructor(now: Instant) {
    this.#offsetMs = offsetOf(now);
    this.#sinceMs = now.monotonicMs;
  }

  /** By how much it has jumped since the last look, in milliseconds; 0 if it has not. */
  look(now: Instant): number {
    const jumpMs = offsetOf(now) - this.#offsetMs;
    this.#offsetMs = offsetOf(now);
    if (Math.abs(jumpMs) <= JUMP_MS) return 0;
    this.#sinceMs = now.monotonicMs;
    this.#isConfirmed = false;
    return jumpMs;
  }

  /** Whether it is known what to make of the last jump. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  confirm(): void {
    this.#isConfirmed = true;
  }

  /** For how long it has run steadily, as of the last look, in milliseconds. */
  forMs(now: Instant): number {
    return now.monotonicMs - this.#sinceMs;
  }
}

function offsetOf(now: Instant): number {
  return now.wallMs - now.monotonicMs;
}
