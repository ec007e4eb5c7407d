import type { Clock, Instant } from '../runtime/clock.ts';

interface HostTimer {
  readonly dueMs: number;
  readonly callback: () => void;
  cancel: (() => void) | undefined;
}

/**
 * The clock of one machine or process among several on the same time: what stops one of them stops no other, and above all not
 * the server that counts its lease.
 */
export class HostClock implements Clock {
  readonly #world: Clock;
  readonly #timers = new Set<HostTimer>();
  #wallOffsetMs = 0;
  /** How long the monotonic clock stood still, in all. */
  #lostMs = 0;
  #stopped: { readonly at: Instant; readonly how: 'paused' | 'suspended' } | undefined;

  constructor(world: Clock) {
    this.#world = world;
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): Instant {
    const world = this.#world.now();
    return { monotonicMs: this.#monotonicMs(world), wallMs: world.wallMs + this.#wallOffsetMs };
  }

  schedule(delayMs: number, callback: () => void): () => void {
    if (!Number.isFinite(delayMs)) throw new RangeError(`Expected a finite delay in milliseconds, got ${delayMs}`);
    const timer: HostTimer = { dueMs: this.now().monotonicMs + Math.max(0, delayMs), callback, cancel: undefined };
    this.#timers.add(timer);
    if (this.#stopped === undefined) this.#arm(timer);
    return () => {
      timer.cancel?.();
      this.#timers.delete(timer);
    };
  }

  /** The process is stopped or its event loop is blocked: no timer runs, and the clocks go on. */
  pause(): void {
    this.#stop('paused');
  }

  /** The virtual machine is suspended: no timer runs, the monotonic clock stands still, the wall clock goes on. */
  suspend(): void {
    this.#stop('suspended');
  }

  /** Goes on. What became due meanwhile runs now, in the order in which it was due. */
  resume(): void {
    if (this.#stopped === undefined) return;
    const now = this.#world.now();
    if (this.#stopped.how === 'suspended') this.#lostMs += now.monotonicMs - this.#stopped.at.monotonicMs;
    this.#stopped = undefined;
    // A stable sort keeps the order of creation among timers that are due together.
    for (const timer of [...this.#timers].toSorted((a, b) => a.dueMs - b.dueMs)) this.#arm(timer);
  }

  /** Somebody sets this machine's wall clock, forward or back. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #stop(how: 'paused' | 'suspended'): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { at: this.#world.now(), how };
    for (const timer of this.#timers) timer.cancel?.();
  }

  #arm(timer: HostTimer): void {
    timer.cancel = this.#world.schedule(timer.dueMs - this.now().monotonicMs, () => {
      this.#timers.delete(timer);
      timer.callback();
    });
  }

  #monotonicMs(world: Instant): number {
    const until = this.#stopped?.how === 'suspended' ? this.#stopped.at : world;
    return until.monotonicMs - this.#lostMs;
  }
}
