import type { Pulse } from '../view.ts';

/** A time of today, or with its date. */
export function showClock(ms: number, nowMs: number = Date.now()): string {
  const [date, today] = [new Date(ms), new Date(nowMs)];
  return date.toDateString() === today.toDateString() ? date.toLocaleTimeString() : date.toLocaleString();
}

/** How late it is where holdfast runs, as far as the page can know: what it was told, and how long ago that was. */
export class Time {
  #pulse: Pulse | undefined;
  #heardAt = { monotonicMs: 0, wallMs: 0 };

  hear(pulse: Pulse): void {
    this.#pulse = pulse;
    this.#heardAt = { monotonicMs: performance.now(), wallMs: Date.now() };
  }

  get pulse(): Pulse | undefined {
    return this.#pulse;
  }

  get nowMs(): number {
    return (this.#pulse?.nowMs ?? Date.now()) + this.silentMs;
  }

  /** How long ago the last pulse came. The greater of two clocks: one of them stands still while a machine sleeps. */
  get silentMs(): number {
    if (this.#pulse === undefined) return 0;
    const { monotonicMs, wallMs } = this.#heardAt;
    return Math.max(0, performance.now() - monotonicMs, Date.now() - wallMs);
  }

  /** How old what is shown is; `undefined`: nothing is. */
  get ageMs(): number | undefined {
    const { ageMs } = this.#pulse ?? {};
    return ageMs === undefined ? undefined : ageMs + this.silentMs;
  }
}
