/** What owners believed, and the judge of it. */
import { stalledMs, type Stall } from '../election/stalls.ts';

/** For how long one owner had one partition. Instants are milliseconds of the machine's monotonic clock, which all processes share. */
export interface Period {
  readonly owner: string;
  readonly partition: number;
  readonly token: bigint;
  readonly from: number;
  /** When `isHeld()` was true for the last time. */
  readonly to: number;
  readonly toldWhy?: string;
  /** When its work had ended. */
  readonly endedAt?: number;
}

export interface Incident {
  readonly fault: string;
  readonly owner: string;
  readonly at: number;
  /** Who owned what before. */
  readonly before: ReadonlyMap<number, string>;
  /** Whether an operator took what it had, of which it learns by a delivery, as its successor does. */
  readonly isDeposed: boolean;
}

export interface Limits {
  /** Everything is owned again so soon after a fault. */
  readonly againMs: number;
  /** What one delivery of a watch may take on a busy machine, not counting when its process stood still. */
  readonly deliveryMs: number;
}

/**
 * Throws an Error that says where it went wrong, unless
 * 1. no two periods of a partition overlap, but for a delivery where the first owner was deposed;
 * 2. its tokens rise;
 * 3. after each fault everything that the owner had which it hit was owned again in time.
 */
export function checkPeriods(
  periods: readonly Period[],
  incidents: readonly Incident[],
  limits: Limits,
  /** By owner. */
  stalls: ReadonlyMap<string, readonly Stall[]>,
): void {
  const deposed = new Set(incidents.filter(({ isDeposed }) => isDeposed).map(({ owner }) => owner));
  for (const partition of new Set(periods.map((period) => period.partition))) {
    const ordered = periods.filter((period) => period.partition === partition).toSorted((a, b) => a.from - b.from);
    for (const [index, period] of ordered.entries()) {
      for (const earlier of ordered.slice(0, index)) {
        if (earlier.token >= period.token)
          throw new Error(`The token of ${shown(period)} is not above ${shown(earlier)}`);
        const stalled = stalledMs(stalls.get(earlier.owner) ?? [], period.from, earlier.to);
        const allowedMs = deposed.has(earlier.owner) ? limits.deliveryMs + stalled : 0;
        if (earlier.to - period.from > allowedMs) throw new Error(`Two owners: ${shown(earlier)} and ${shown(period)}`);
      }
    }
  }
  for (const { fault, owner, at, before } of incidents) {
    for (const [partition, owned] of before) {
      if (owned !== owner) continue;
      const next = periods.find((period) => period.partition === partition && period.from > at);
      const tookMs = (next?.from ?? Infinity) - at;
      if (tookMs > limits.againMs)
        throw new Error(`After "${fault}" it took ${tookMs} ms until ${partition} was owned`);
    }
  }
}

/** The partitions that have another owner. */
export function moved(before: ReadonlyMap<number, string>, after: ReadonlyMap<number, string>): readonly number[] {
  return [...after].filter(([partition, owner]) => before.get(partition) !== owner).map(([partition]) => partition);
}

function shown({ owner, partition, token, from, to, toldWhy = 'it was not told' }: Period): string {
  return `${owner} of ${partition} (${token}, ${from.toFixed(1)}–${to.toFixed(1)}, ${toldWhy})`;
}
