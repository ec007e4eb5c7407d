/** How the calls of clients ended, and the judges of that. */
import { stalledMs, type Stall } from '../election/stalls.ts';
import type { Call, History, Settled } from './history.ts';
import type { AcceptedWrite } from './register.ts';

export interface Ended {
  readonly client: string;
  readonly call: Call;
  /** Absent: its process was killed before. */
  readonly settled?: Settled | undefined;
}

/** What a deadline may be missed by; see docs/trade-offs.md. */
const SLACK_MS = 250;

export function stallsOf({ events }: History): Stall[] {
  return events.flatMap((event) => (event.kind === 'stall' ? [event] : []));
}

export function endedCalls({ client, events }: History): Ended[] {
  const settled = new Map<number, Settled>();
  for (const event of events) if (event.kind === 'settled') settled.set(event.id, event);
  return events.flatMap((event) =>
    event.kind === 'call' ? [{ client, call: event, settled: settled.get(event.id) }] : [],
  );
}

/** D1: every call settles by its deadline, not counting when its process stood still. */
export function judgeDeadlines(history: History): string[] {
  const stalls = stallsOf(history);
  const lastAt = history.events.at(-1)?.at ?? 0;
  return endedCalls(history).flatMap(({ client, call, settled }) => {
    const until = settled?.at ?? lastAt;
    const tookMs = until - call.at - stalledMs(stalls, call.at, until);
    if (tookMs <= call.limitMs + SLACK_MS) return [];
    const how = settled === undefined ? 'has not settled' : `settled (${settled.code ?? settled.outcome})`;
    return [`D1 ${client}: ${call.workload} ${call.what} ${how} after ${tookMs.toFixed(0)} of ${call.limitMs} ms`];
  });
}

/**
 * D2: a write that was acknowledged is there exactly once, one that was refused is not, and any other at most once. `written`: the values
 * of all writes that there are, of which no two calls write the same.
 */
export function judgeWrites(what: string, calls: readonly Ended[], written: readonly string[]): string[] {
  const times = new Map<string, number>();
  for (const value of written) times.set(value, (times.get(value) ?? 0) + 1);
  return calls.flatMap(({ client, call, settled }) => {
    const count = times.get(call.value ?? '') ?? 0;
    const outcome = settled?.outcome ?? 'unknown';
    const isRight = outcome === 'ok' ? count === 1 : outcome === 'failed' ? count === 0 : count <= 1;
    if (isRight) return [];
    return [
      `D2 ${client}: ${what} ${call.value} is there ${count} times, after ${outcome} ${settled?.code ?? ''} ${settled?.message ?? ''}`,
    ];
  });
}

/** F1: accepted tokens never decrease. F3: every accepted write raised the counter by one, so none was lost. */
export function judgeCounter(accepted: readonly AcceptedWrite[], final: number): string[] {
  const violations: string[] = [];
  for (const [index, { write, token, value }] of accepted.entries()) {
    const before = accepted[index - 1];
    if (before !== undefined && token < before.token) {
      violations.push(`F1 ${write} was accepted with ${token} after ${before.token}`);
    }
    if (value !== index + 1) violations.push(`F3 ${write}, the write ${index + 1}, has made it ${value}`);
  }
  if (final !== accepted.length) violations.push(`F3 the counter is ${final} after ${accepted.length} writes`);
  return violations;
}
