interface Waiter {
  readonly admit: () => void;
}

/**
 * At most `limit` things at once; the rest wait in the order in which they came. The queue has no limit of its own: whoever waits has a
 * deadline, and leaves the queue at it.
 */
export class Bulkhead {
  readonly #limit: number;
  readonly #waiting = new Set<Waiter>();
  #inside = 0;

  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new RangeError(`Expected the bulkhead's limit to be a whole number of at least 1, got ${limit}`);
    }
    this.#limit = limit;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a place if one is free. Whoever got one gives it back with {@link leave}. */
  tryEnter(): boolean {
    if (this.#inside >= this.#limit) return false;
    this.#inside += 1;
    return true;
  }

  /** Calls `admit` once a place is taken for the caller. Returns what leaves the queue, and says whether that was still possible. */
  queue(admit: () => void): () => boolean {
    const waiter = { admit };
    this.#waiting.add(waiter);
    return () => this.#waiting.delete(waiter);
  }

  /** Gives a place back, to the first in the queue if there is one. */
  leave(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next.admit();
      return;
    }
    this.#inside -= 1;
  }
}
