import type { Pulse } from '../view.ts';

/** `3s`, `2m 5s`, `1h 2m`: in the two units that matter. */
export function showDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

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
