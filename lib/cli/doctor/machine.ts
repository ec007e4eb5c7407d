import { elapsedMs, sleep, type Clock } from '../../runtime/clock.ts';
import { marginMs } from '../../session/ttl.ts';
import type { Finding } from './finding.ts';

const ROUNDS = 25;
const ROUND_MS = 20;

/** How late timers come on this machine, of which the aborts of what is held are some. About half a second. */
export async function examineTimers(clock: Clock, ttlMs: number, signal: AbortSignal): Promise<Finding> {
  let latestMs = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const since = clock.now();
    await sleep(clock, ROUND_MS, signal);
    latestMs = Math.max(latestMs, elapsedMs(since, clock.now()) - ROUND_MS);
  }
  return judgeTimers(latestMs, ttlMs);
}

/** Against the margin of a session, within which a holder is told before anybody else can have what it holds. */
export function judgeTimers(latestMs: number, ttlMs: number): Finding {
  const about = 'timers';
  const margin = Math.round(marginMs(ttlMs));
  const fact = `timers come up to ${latestMs.toFixed(1)} ms late on this machine, in ${ROUNDS}`;
  if (latestMs > margin) {
    const advice = `That is more than the margin of ${margin} ms which a TTL of ${ttlMs} has: who holds something here can be told of its loss too late. Give the machine more processor, or raise the TTL.`;
    return { about, level: 'problem', fact, advice };
  }
  if (latestMs > margin / 4) {
    const advice = `A TTL of ${ttlMs} has a margin of ${margin} ms. Services are later still where they block their event loop: watch it there.`;
    return { about, level: 'warning', fact, advice };
  }
  return { about, level: 'fine', fact };
}
