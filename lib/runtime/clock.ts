/**
 * Time, injected. Everything that measures or waits takes a {@link Clock}, so that the simulation and the tests decide how time
 * passes. Only this folder touches `Date`, `performance` and `setTimeout`.
 *
 * Nothing is ever *decided* by the wall clock. It only makes elapsed time longer, never shorter: Linux's monotonic clock stands
 * still while a virtual machine is suspended, and a lease does not.
 */

import { onAbort } from './abort.ts';

/** A point in time, kept on both clocks. Only the difference of two means anything: see {@link elapsedMs}. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface Clock {
  now(): Instant;
  /** Calls `callback` once, no sooner than `delayMs` from now. Returns what cancels it; cancelling twice is harmless. */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** Milliseconds from `since` to `until`: the greater of the monotonic and the wall-clock difference, never negative. */
export function elapsedMs(since: Instant, until: Instant): number {
  return Math.max(0, until.monotonicMs - since.monotonicMs, until.wallMs - since.wallMs);
}

/** Resolves after `delayMs`; rejects with `signal.reason` as soon as the signal aborts. Leaves neither timer nor listener behind. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const cancel = clock.schedule(delayMs, () => {
      stop();
      resolve();
    });
    const stop = onAbort(signal, (reason) => {
      cancel();
      reject(reason);
    });
  });
}

/** Node clamps longer timers to one millisecond, so a long wait is made of several. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The clock of this process. */
export const systemClock: Clock = { now, schedule };

/** The same time, with timers for which the process does not stay alive. */
export const backgroundClock: Clock = {
  now,
  schedule: (delayMs, callback) => schedule(delayMs, callback, (timer) => timer.unref()),
};

/**
 * As `clock.now()`, but of this machine: what one process says of it means the same in another one.
 */
export function machineNow(): Instant {
  return { monotonicMs: Number(process.hrtime.bigint()) / 1e6, wallMs: Date.now() };
}

function now(): Instant {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

/**
 * What is due waits until everything that has arrived by then was read: after a stretch of computing, or of no processor, Node runs timers
 * before it looks at its sockets, and a timeout would be told of an answer that lies there.
 */
function schedule(
  delayMs: number,
  callback: () => void,
  prepare: (timer: NodeJS.Timeout) => unknown = () => {},
): () => void {
  let leftMs = Math.max(0, delayMs);
  let timer: NodeJS.Timeout;
  let due: NodeJS.Immediate | undefined;
  const arm = (): void => {
    const stepMs = Math.min(leftMs, LONGEST_TIMER_MS);
    leftMs -= stepMs;
    timer = setTimeout(leftMs > 0 ? arm : ring, stepMs);
    prepare(timer);
  };
  /* Whoever keeps the process alive: for one that does not, Node would wait at its sockets until something else happens. */
  const ring = (): void => {
    due = setImmediate(callback);
  };
  arm();
  return () => {
    clearTimeout(timer);
    clearImmediate(due);
  };
}
