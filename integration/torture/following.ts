/** What readers were told and served, held against what happened in the store. */
import type { Change, History, Served } from './history.ts';
import { endedCalls } from './settling.ts';

/** An event of what the readers follow. */
export interface Fact {
  readonly revision: bigint;
  readonly key: string;
  /** Absent: it was deleted. */
  readonly value?: string | undefined;
  /** When the run learnt of it. */
  readonly at: number;
}

/**
 * W1, W2: one process was told of the state at some revision, then of every event once and in order; or of a resync, after which it knew,
 * of all keys that had changed in the gap, the state before the next event. `untilMs`: what happened up to then it was told of in the end.
 */
export function judgeChanges(
  { client, events }: History,
  workload: Change['workload'],
  facts: readonly Fact[],
  untilMs?: number,
): string[] {
  const told = events.filter((event): event is Change => event.kind === 'change' && event.workload === workload);
  const last = told.at(-1);
  const due = untilMs === undefined ? undefined : facts.findLast(({ at }) => at <= untilMs);
  if (due !== undefined && (last === undefined || last.revision < due.revision)) {
    return [`W1 ${client}: ${workload}: the last it was told of is ${last?.revision}, and ${due.revision} was due`];
  }
  const places = new Map(facts.map(({ revision }, place) => [revision, place]));
  /* A process that was killed soon may not have seen more than the beginning of the state. */
  if (told.length < MOST_KEYS && untilMs === undefined) return [];
  const lengths = lengthsOfState(told, facts, places);
  if (lengths.length === 0) return [`W1 ${client}: ${workload}: what it was told of at first was never the state`];
  /* Events that begin with the first one can also be read as a state, and the other way round. */
  const faults = lengths.map((length) => faultAfter(told, length, facts, places));
  const fault = faults.includes(undefined) ? undefined : faults.at(-1);
  return fault === undefined ? [] : [`W1 ${client}: ${workload} ${fault}`];
}

/** More than the workloads have. */
const MOST_KEYS = 10;

/** Of how many changes at the beginning the state can have consisted at the revision before the next change. */
function lengthsOfState(told: readonly Change[], facts: readonly Fact[], places: Places): number[] {
  const lengths: number[] = [];
  const listed = new Map<string, string | undefined>();
  for (const [index, change] of told.slice(0, MOST_KEYS).entries()) {
    /* The state was that at the revision of its last entry, or at a later one at which nothing had been put. */
    if (change.resynced && index > 0) return [...lengths, index];
    const state = new Map<string, string | undefined>();
    for (const { key, value } of facts.slice(0, places.get(change.revision) ?? 0)) {
      if (value === undefined) state.delete(key);
      else state.set(key, value);
    }
    if (state.size === listed.size && [...state].every(([key, value]) => listed.get(key) === value)) {
      lengths.push(index);
    }
    /* A state has each key once, and none that was deleted. */
    if (listed.has(change.key) || change.value === undefined) break;
    listed.set(change.key, change.value);
  }
  return lengths;
}

/** By revision, the place in the list of all facts. */
type Places = ReadonlyMap<bigint, number>;

/** What is wrong with the changes after the first so many, which were the state. */
function faultAfter(
  told: readonly Change[],
  length: number,
  facts: readonly Fact[],
  places: Places,
): string | undefined {
  const known = new Map(told.slice(0, length).map(({ key, value }) => [key, value]));
  /* The place of the last fact that is covered. */
  const next = told[length];
  let covered =
    next?.resynced === true
      ? (places.get(told[length - 1]?.revision ?? 0n) ?? -1)
      : (places.get(next?.revision ?? 0n) ?? 0) - 1;
  let isResyncing = false;
  for (const change of told.slice(length)) {
    const { key, value, revision, resynced } = change;
    const describe = (what: string): string => `${key}=${value ?? 'deleted'} at ${revision} ${what}`;
    const place = places.get(revision) ?? -1;
    const fact = facts[place];
    /* A resync tells of a delete with the revision of the list that no longer has the key. */
    const isAbsence = resynced && value === undefined;
    if (!isAbsence && (fact?.key !== key || fact.value !== value)) return describe('never happened');
    if (resynced) {
      if (!isAbsence && place <= covered) return describe('was known');
    } else {
      if (!isResyncing && place !== covered + 1) return describe(`is event ${place}, and ${covered + 1} was expected`);
      const wrong = isResyncing ? wrongAfter(known, facts, covered + 1, place) : undefined;
      if (wrong !== undefined) return describe(`follows a resync that was wrong about ${wrong}`);
      covered = place;
    }
    isResyncing = resynced;
    known.set(key, value);
  }
  return undefined;
}

/** A key of those that changed from one place to before another, of which `known` is not the state then. */
function wrongAfter(
  known: ReadonlyMap<string, string | undefined>,
  facts: readonly Fact[],
  from: number,
  to: number,
): string | undefined {
  const state = new Map(facts.slice(from, to).map(({ key, value }) => [key, value]));
  for (const [key, value] of state) if (known.get(key) !== value) return key;
  return undefined;
}

/**
 * C1: what is served was the store's. C2: it does not go back. C3: it is no older than it says: `acknowledged` tells when each value was
 * there at the latest, so from then on its predecessors were stale. C4: own writes are seen.
 */
export function judgeServed(
  { client, events }: History,
  workload: Served['workload'],
  facts: readonly Fact[],
  acknowledged: ReadonlyMap<string, number>,
): string[] {
  const violations: string[] = [];
  const supersededAt = supersession(facts, acknowledged);
  const byRevision = new Map(facts.map((fact) => [fact.revision, fact]));
  const byValue = new Map(facts.map((fact) => [fact.value, fact]));
  const newest = new Map<string, bigint>();
  for (const served of events) {
    if (served.kind !== 'served' || served.workload !== workload) continue;
    const { key, value, revision, ageMs, afterWrite, at } = served;
    const fail = (rule: string, what: string): unknown =>
      violations.push(`${rule} ${client}: ${workload} ${key}=${value} at ${revision} ${what}`);
    const fact = byRevision.get(revision);
    if (fact === undefined || fact.key !== key || fact.value !== value) fail('C1', 'never was');
    if (revision < (newest.get(key) ?? 0n)) fail('C2', `was served after ${newest.get(key)}`);
    newest.set(key, revision);
    const staleMs = at - (supersededAt.get(revision) ?? at);
    if (staleMs > ageMs) fail('C3', `was stale for ${staleMs.toFixed(1)} ms and said ${ageMs.toFixed(1)}`);
    const own = afterWrite === undefined ? undefined : byValue.get(afterWrite);
    if (own !== undefined && own.revision > revision) fail('C4', `was served after the own write at ${own.revision}`);
  }
  return violations;
}

/** By the revision of each put: from when on another value was certainly there. */
function supersession(facts: readonly Fact[], acknowledged: ReadonlyMap<string, number>): Map<bigint, number> {
  const supersededAt = new Map<bigint, number>();
  const laterAt = new Map<string, number>();
  for (const { key, value, revision } of facts.toReversed()) {
    const later = laterAt.get(key);
    if (later !== undefined) supersededAt.set(revision, later);
    const ownAt = acknowledged.get(value ?? '');
    if (ownAt !== undefined) laterAt.set(key, Math.min(ownAt, later ?? Infinity));
  }
  return supersededAt;
}

/** A linearizable read gives nothing older than what was acknowledged before it began. */
export function judgeReads(
  history: History,
  facts: readonly Fact[],
  acknowledged: ReadonlyMap<string, number>,
): string[] {
  return endedCalls(history).flatMap(({ client, call, settled }) => {
    if (call.what !== 'read' || settled?.outcome !== 'ok') return [];
    const own = facts.filter(({ key }) => key === call.key);
    const due = own.findLast(({ value }) => (acknowledged.get(value ?? '') ?? Infinity) < call.at);
    if (due === undefined) return [];
    const { revision } = settled;
    const isRight =
      revision === undefined
        ? own.some((fact) => fact.value === undefined && fact.revision > due.revision)
        : revision >= due.revision;
    return isRight
      ? []
      : [`C4 ${client}: a linearizable read of ${call.key} gave ${revision}, after ${due.revision} was acknowledged`];
  });
}
