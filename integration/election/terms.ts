/** What leaders believed of themselves, and the judge of it. */
import { stalledMs, type Stall } from './stalls.ts';

/** A term as the leader's own process recorded it. Instants are milliseconds of the machine's monotonic clock, which all processes share. */
export interface Term {
  readonly candidate: string;
  readonly token: bigint;
  /** When it learnt that it leads. */
  readonly from: number;
  /** When `isHeld()` was true for the last time; taken before asking, so the belief lasted at least until then. */
  readonly to: number;
  /** When its signal told it to stop. */
  readonly toldAt?: number | undefined;
  readonly toldWhy?: string | undefined;
  /** When its work had ended. */
  readonly endedAt?: number | undefined;
}

/**
 * What becomes of a leader that a fault hits.
 *
 * - `expires`: it has no contact any more, and steps down by its own clock before anybody else is elected.
 * - `is deposed`: an operator takes its lease or its key, of which it learns by one delivery of a watch, as its successor does.
 * - `resigns`: its work ends first.
 * - `may stay`: the trouble is etcd's.
 * - `may be deposed`: etcd itself may take its lease by mistake, and with it those of who waits behind it.
 */
export type Fate = 'expires' | 'is deposed' | 'resigns' | 'may stay' | 'may be deposed';

export interface Incident {
  readonly fault: string;
  readonly fate: Fate;
  /** The term that it hit. */
  readonly token: bigint;
  /** When it hit. */
  readonly at: number;
  /** When there was an etcd again, where it took that away; else the same. */
  readonly backAt: number;
  /** Somebody is to lead so soon after `backAt`. */
  readonly withinMs: number;
  /** The leader's process runs, so its signal can tell it. */
  readonly hears: boolean;
}

export interface Limits {
  readonly ttlMs: number;
  /** For how long a leader may believe in itself after it has sent the last renewal that was answered. */
  readonly validForMs: number;
  /** What one delivery of a watch, or a timer, may take on a busy machine, not counting when its process stood still. */
  readonly deliveryMs: number;
}

/** By candidate. */
export type Stalls = ReadonlyMap<string, readonly Stall[]>;

/** How an incident went. */
export interface Passage {
  readonly fault: string;
  /** Until the next term, or 0 where the leader stayed. */
  readonly tookMs: number;
  /** For how long two leaders believed in themselves; negative: for how long nobody did. */
  readonly overlapMs: number;
}

/** Whether the term's process had, in between, no longer than a delivery takes it. */
type OneDelivery = (term: Term, from: number, to: number) => boolean;

/** A process that was starved may have taken its last sample so long ago. */
const SAMPLE_AGE_MS = 1_000;

/**
 * Throws an Error that says where it went wrong, unless
 * 1. no two terms overlap, but for a delivery where one was deposed;
 * 2. tokens rise from term to term, but for those of 1 that were over before they were known to begin;
 * 3. every fault hit a leader, which stopped believing in itself in time, and was told;
 * 4. somebody led in time after it.
 */
export function checkTerms(
  terms: readonly Term[],
  incidents: readonly Incident[],
  limits: Limits,
  stalls: Stalls,
): Passage[] {
  const isOneDelivery: OneDelivery = ({ candidate }, from, to) =>
    to - from <= limits.deliveryMs + stalledMs(stalls.get(candidate) ?? [], from, to);
  const ordered = terms.toSorted((a, b) => a.from - b.from);
  const deposed = new Set(incidents.filter(({ fate }) => fate.endsWith('deposed')).map(({ token }) => token));
  const mistaken = new Set(ordered.filter((term) => isMistaken(term, incidents, isOneDelivery)));
  for (const [index, term] of ordered.entries()) {
    for (const earlier of ordered.slice(0, index)) {
      if (mistaken.has(earlier) || mistaken.has(term)) continue;
      if (earlier.token >= term.token)
        throw new Error(`The token of ${shown(term)} is not above that of ${shown(earlier)}`);
      const overlapMs = earlier.to - term.from;
      const isAllowed = deposed.has(earlier.token) && isOneDelivery(earlier, term.from, earlier.to);
      if (overlapMs >= 0 && !isAllowed) {
        throw new Error(`Two leaders for ${overlapMs.toFixed(1)} ms: ${shown(earlier)} and ${shown(term)}`);
      }
    }
  }
  return incidents.map((incident) => checkIncident(ordered, incident, limits, isOneDelivery));
}

/**
 * An etcd that takes leases by mistake takes several. Whoever waited behind the leader then sees that leader go, and with the next event that
 * itself has gone: between the two it believes that it leads, when the one behind it has seen both.
 */
function isMistaken(term: Term, incidents: readonly Incident[], isOneDelivery: OneDelivery): boolean {
  const { from, to, toldWhy } = term;
  const isLater = incidents.some(({ fate, at }) => fate === 'may be deposed' && at <= from);
  return isLater && isOneDelivery(term, from, to) && toldWhy?.includes('session key was deleted') === true;
}

function checkIncident(
  ordered: readonly Term[],
  incident: Incident,
  limits: Limits,
  isOneDelivery: OneDelivery,
): Passage {
  const { fault, fate, token, at, backAt, withinMs, hears } = incident;
  const fail = (what: string): never => {
    throw new Error(`After "${fault}" at ${at.toFixed(1)}: ${what}`);
  };
  const hit = ordered.find((term) => term.token === token) ?? fail(`no term has the token ${token}`);
  if (hit.from > at || (!fate.startsWith('may') && hit.to < at - SAMPLE_AGE_MS))
    fail(`it hit no leader, ${shown(hit)}`);
  const next = ordered.find((term) => term.from > hit.from);

  if (fate.startsWith('may')) {
    /* Believed for longer than a renewal from before the fault can account for. */
    const leading = ordered.find((term) => term.from <= backAt + withinMs && term.to >= backAt + limits.ttlMs);
    if (leading === undefined) fail(`nobody led from ${withinMs} ms after it on`);
    const stayed = leading === hit || next === undefined;
    return { fault, tookMs: stayed ? 0 : next.from - backAt, overlapMs: stayed ? 0 : hit.to - next.from };
  }

  if (next === undefined) return fail('nobody was elected');
  const tookMs = next.from - backAt;
  if (tookMs > withinMs) fail(`it took ${tookMs.toFixed(0)} of ${withinMs} ms until ${shown(next)}`);
  if (fate === 'expires' && hit.to > at + limits.validForMs) {
    fail(`${shown(hit)} believed in itself for ${(hit.to - at).toFixed(0)} ms without contact`);
  }
  if (fate === 'resigns' && (hit.endedAt === undefined || hit.endedAt > next.from)) {
    fail(`${shown(next)} before the work of ${shown(hit)} had ended`);
  }
  if (hears && (hit.toldAt === undefined || !isOneDelivery(hit, next.from, hit.toldAt))) {
    fail(`${shown(hit)} was not told before ${shown(next)}`);
  }
  return { fault, tookMs, overlapMs: hit.to - next.from };
}

function shown({ candidate, token, from, to, toldWhy = 'it was not told' }: Term): string {
  return `${candidate} (${token}, ${from.toFixed(1)}–${to.toFixed(1)}, ${toldWhy})`;
}
