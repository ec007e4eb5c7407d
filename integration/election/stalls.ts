/** When the event loop of a process did not come round, and so nothing that had arrived was read: it was stopped, or starved. */
import { machineMs } from './machine-clock.ts';

export interface Stall {
  readonly from: number;
  readonly at: number;
}

/** The event loop of a process that runs comes round sooner, also on a busy machine. */
const STALL_MS = 60;

/** Takes a sample every so often from now on, and tells of every stall in between. Returns what ends that. */
export function sampleSteadily(sample: () => void, onStall: (stall: Stall) => void, everyMs = 10): () => void {
  let sampledAt = machineMs();
  const timer = setInterval(() => {
    const from = sampledAt;
    const at = machineMs();
    if (at - from > STALL_MS) {
      /* Whoever wakes from a pause may write before anything is read: what is believed then counts. */
      sample();
      onStall({ from, at });
    }
    sampledAt = at;
    /* Else after what has arrived was read: a process that was starved does not count it against the delivery. */
    setImmediate(sample);
  }, everyMs);
  return () => clearInterval(timer);
}

/** For how long of a span a process stood still. */
export function stalledMs(stalls: readonly Stall[], from: number, to: number): number {
  return stalls.reduce((sum, stall) => sum + Math.max(0, Math.min(stall.at, to) - Math.max(stall.from, from)), 0);
}
