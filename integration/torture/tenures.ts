/** Who believed to hold the lock or to lead, and the judge of it. */
import { stalledMs, type Stall } from '../election/stalls.ts';
import type { Exclusive, History } from './history.ts';
import { stallsOf } from './settling.ts';
import type { Disturbance } from './site.ts';

export interface Tenure {
  readonly client: string;
  readonly token: bigint;
  /** When it was asked for, and granted. */
  readonly since: number;
  readonly grantedAt: number;
  /** When `isHeld()` was true for the first and the last time; absent: it never was. */
  readonly held?: { readonly from: number; readonly to: number };
}

export interface TenureEvidence {
  readonly tenures: readonly Tenure[];
  readonly disturbances: readonly Disturbance[];
  /** The lease on which a token was granted. */
  readonly leaseOf: (token: bigint) => bigint | undefined;
  readonly stalls: ReadonlyMap<string, readonly Stall[]>;
  readonly ttlMs: number;
}

export interface TenureVerdict {
  readonly violations: readonly string[];
  /** Overlaps that the documents name: after a revocation, and under a deposed leader of etcd. */
  readonly allowed: readonly string[];
}

/** One delivery of a watch, on a busy machine: so late a client may learn that an operator has revoked its lease. */
const DELIVERY_MS = 250;

/** A leader that is cut off answers renewals until it notices, twice an election timeout at most: by that a lease can be shorter. */
const UNNOTICED_MS = 500;

/** What a leader does in error when it wakes, it has done after this. */
const WAKING_MS = 1_500;

export function tenuresOf(histories: readonly History[], workload: Exclusive): Tenure[] {
  const tenures: Tenure[] = [];
  for (const { client, events } of histories) {
    const own = new Map<bigint, Tenure>();
    for (const event of events) {
      if (!('workload' in event) || event.workload !== workload) continue;
      if (event.kind === 'granted') {
        const { token, since, at } = event;
        own.set(token, { client, token, since, grantedAt: at });
      } else if (event.kind === 'held') {
        const known = own.get(event.token);
        if (known === undefined) continue;
        own.set(event.token, { ...known, held: { from: known.held?.from ?? event.at, to: event.at } });
      }
    }
    tenures.push(...own.values());
  }
  return tenures;
}

/** By client, for {@link TenureEvidence}. */
export function allStalls(histories: readonly History[]): Map<string, readonly Stall[]> {
  return new Map(histories.map((history) => [history.client, stallsOf(history)]));
}

/**
 * L1: if one acquire returns before another is called, its token is smaller, and no two have one token. E2: the tokens of those that
 * believed in themselves rise in the order in which they did. L2, E1: no two believed at once.
 */
export function judgeTenures(what: string, evidence: TenureEvidence): TenureVerdict {
  const { tenures } = evidence;
  const violations: string[] = [];
  const allowed: string[] = [];

  const tokens = new Map<bigint, Tenure>();
  for (const tenure of tenures) {
    const other = tokens.get(tenure.token);
    if (other !== undefined) violations.push(`L1 ${what}: one token twice, ${shown(other)} and ${shown(tenure)}`);
    tokens.set(tenure.token, tenure);
  }

  const byReturn = tenures.toSorted((a, b) => a.grantedAt - b.grantedAt);
  let returned = 0;
  let highest: Tenure | undefined;
  for (const tenure of tenures.toSorted((a, b) => a.since - b.since)) {
    for (
      let next = byReturn[returned];
      next !== undefined && next.grantedAt < tenure.since;
      next = byReturn[returned]
    ) {
      if (highest === undefined || next.token > highest.token) highest = next;
      returned += 1;
    }
    if (highest !== undefined && highest.token >= tenure.token) {
      violations.push(`L1 ${what}: ${shown(tenure)} was asked for after ${shown(highest)} was granted`);
    }
  }

  const believed = tenures.flatMap((tenure) => (tenure.held === undefined ? [] : [{ tenure, ...tenure.held }]));
  let open: typeof believed = [];
  let last: (typeof believed)[number] | undefined;
  for (const later of believed.toSorted((a, b) => a.from - b.from)) {
    if (last === undefined || last.tenure.token < later.tenure.token) last = later;
    else {
      const line = `${what}: ${shown(later.tenure)} held after ${shown(last.tenure)}`;
      if (isExcused(later.tenure, last.from, later.to - last.from, evidence)) allowed.push(line);
      else {
        violations.push(`E2 ${line}`);
        last = later;
      }
    }
    open = open.filter(({ to }) => to >= later.from);
    for (const earlier of open) {
      const overlapMs = Math.min(earlier.to, later.to) - later.from;
      const line = `${what}: two at once for ${overlapMs.toFixed(1)} ms, ${shown(earlier.tenure)} and ${shown(later.tenure)}`;
      /* It can have lost its turn before it learnt that it had it: then the next one believes first. */
      const [first, next] = earlier.tenure.token < later.tenure.token ? [earlier, later] : [later, earlier];
      if (isExcused(first.tenure, next.from, Math.max(first.to - next.from, 0), evidence)) allowed.push(line);
      else violations.push(`L2/E1 ${line}`);
    }
    open.push(later);
  }
  return { violations, allowed };
}

/** L3: what was said to be lost is never held again. */
export function judgeLosses({ client, events }: History): string[] {
  const lost = new Map<string, number>();
  const violations = new Map<string, string>();
  for (const event of events) {
    if (event.kind !== 'lost' && event.kind !== 'held') continue;
    /* Two partitions can have one token. */
    const name = `${event.workload} ${event.token}`;
    if (event.kind === 'lost') lost.set(name, event.at);
    const since = event.kind === 'held' ? lost.get(name) : undefined;
    if (since === undefined) continue;
    const line = `L3 ${client}: ${name} was held ${(event.at - since).toFixed(1)} ms after it was lost`;
    violations.set(name, line);
  }
  return [...violations.values()];
}

/** How often it went from one process to another. */
export function handovers(tenures: readonly Tenure[]): number {
  const ordered = tenures.toSorted((a, b) => (a.token < b.token ? -1 : 1));
  return ordered.filter(({ client }, index) => index > 0 && ordered[index - 1]?.client !== client).length;
}

/** Whether the documents name why a tenure was believed in for so long, `overlapMs`, after the next one was: `from`. */
export function isExcused(
  earlier: Tenure,
  from: number,
  overlapMs: number,
  { disturbances, leaseOf, stalls, ttlMs }: Omit<TenureEvidence, 'tenures'>,
): boolean {
  const lease = leaseOf(earlier.token);
  const deliveryMs = DELIVERY_MS + stalledMs(stalls.get(earlier.client) ?? [], from, from + overlapMs);
  return disturbances.some(({ why, lease: revoked, at, until = at }) => {
    if (at > from) return false;
    switch (why) {
      case 'a revoked lease':
        return revoked === lease && overlapMs <= deliveryMs;
      case 'a woken leader':
        return from <= at + WAKING_MS && overlapMs <= deliveryMs;
      case 'a deposed leader':
        return from <= until + UNNOTICED_MS + ttlMs && overlapMs <= UNNOTICED_MS;
    }
  });
}

function shown({ client, token, held }: Tenure): string {
  const span = held === undefined ? 'never held' : `${held.from.toFixed(1)}–${held.to.toFixed(1)}`;
  return `${client} (${token}, ${span})`;
}
