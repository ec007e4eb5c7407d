/** What the store has said to clients between two restores, held against what was in it then. */
import { unseal } from '../../lib/config/envelope.ts';
import { Keyspace } from '../../lib/session/keyspace.ts';
import { CACHE } from './cache-work.ts';
import { CONFIG } from './config-work.ts';
import type { Era } from './eras.ts';
import { judgeChanges, judgeReads, judgeServed, type Fact } from './following.ts';
import { onceKeys, partitions, type History, type Workload } from './history.ts';
import { judgeLeaves, judgeShown, memberStates } from './members.ts';
import { PARTITIONS } from './partition-work.ts';
import { judgePlaces } from './places.ts';
import { judgeOnce, onceRecord, type OnceEvidence } from './records.ts';
import { REGISTRY } from './registry-work.ts';
import { endedCalls, judgeWrites, type Ended } from './settling.ts';
import { NAMESPACE } from './site.ts';
import { revisionsAfter, standsBelow, type DatedWrite } from './stands.ts';
import { MARK, revisionOf, type LoggedEvent } from './store-log.ts';
import { tenuresOf, type TenureVerdict } from './tenures.ts';
import { judgeTicks } from './ticks.ts';

export interface EraEvidence extends Pick<OnceEvidence, 'excuses'> {
  /** Of the processes that lived in it. */
  readonly present: readonly History[];
  /** Of all eras: what was done in an earlier one can be in the backup. */
  readonly histories: readonly History[];
  readonly calls: readonly Ended[];
  readonly survivors: readonly string[];
  readonly toldUntilMs: number;
}

const keyspace = new Keyspace(NAMESPACE);

/** What clients were told, served and promised by the store, as it was in their time. */
export function judgeEra(era: Era, evidence: EraEvidence): TenureVerdict {
  const { log, records } = era;
  const { present, calls: allCalls, survivors, toldUntilMs } = evidence;
  const calls = present.flatMap(endedCalls);
  const cacheFacts = factsBelow(log, keyspace.cache(CACHE), (value) => value);
  const { current } = keyspace.config(CONFIG);
  const configFacts = factsBelow(log, current, configValue)
    .filter(({ key }) => key === '')
    .map((fact) => ({ ...fact, key: CONFIG }));
  const puts = acknowledgements(allCalls, 'cache');
  const versions = acknowledgements(allCalls, 'config');
  const writes = (what: string, names: readonly string[], facts: readonly Fact[]): string[] =>
    judgeWrites(
      what,
      calls.filter(({ call }) => names.includes(call.what)),
      facts.map(({ value = '' }) => value),
    );
  const revisionAfter = revisionsAfter(datedWrites(log, allCalls));
  const registry = keyspace.members('registry', REGISTRY);
  const states = memberStates(log, registry);
  const registrations = standsBelow(log, registry);
  const onceSeen = onceEvidence(era, evidence, { calls, revisionAfter });
  const once = judgeOnce(onceSeen);
  const violations = [
    ...writes('put', ['put'], cacheFacts),
    ...writes('config version', ['set', 'update'], configFacts),
    ...judgeTicks(present, records),
    ...partitions.flatMap((partition, number) => {
      const places = standsBelow(log, `${keyspace.queue('partition', PARTITIONS)}${number}/`);
      return judgePlaces(partition, tenuresOf(present, partition), places, revisionAfter);
    }),
    ...onceKeys.flatMap((key) => {
      const { tenures, turns } = onceSeen;
      return judgePlaces(`turn ${key}`, tenures.get(key) ?? [], turns.get(key) ?? [], revisionAfter);
    }),
    ...once.violations,
    ...present.flatMap((history) => {
      const untilMs = survivors.includes(history.client) ? toldUntilMs : undefined;
      return [
        ...judgeChanges(history, 'cache', cacheFacts, untilMs),
        ...judgeChanges(history, 'config', configFacts, untilMs),
        ...judgeServed(history, 'cache', cacheFacts, puts),
        ...judgeServed(history, 'config', configFacts, versions),
        ...judgeReads(history, cacheFacts, puts),
        ...judgeShown(history, states, untilMs),
        ...judgeLeaves(history, registrations, revisionAfter),
      ];
    }),
  ];
  return { violations, allowed: once.allowed };
}

function onceEvidence(
  { log }: Era,
  { present, histories, excuses }: EraEvidence,
  { calls, revisionAfter }: Pick<OnceEvidence, 'calls' | 'revisionAfter'>,
): OnceEvidence {
  const byKey = <T>(of: (key: string) => T): ReadonlyMap<string, T> => new Map(onceKeys.map((key) => [key, of(key)]));
  return {
    records: byKey((key) => standsBelow(log, keyspace.once(key)).map(onceRecord)),
    turns: byKey((key) => standsBelow(log, keyspace.queue('once-turn', key))),
    returned: histories.flatMap(({ events }) => events.filter((event) => event.kind === 'returned')),
    tenures: byKey((key) => tenuresOf(present, `turn ${key}`)),
    ...{ calls, revisionAfter, excuses },
  };
}

/** Writes of which the log itself says when they were asked for: those of the cache, and the marks of the run. */
export function datedWrites(log: readonly LoggedEvent[], calls: readonly Ended[]): DatedWrite[] {
  const askedAt = new Map(calls.flatMap(({ call }) => (call.what === 'put' ? [[call.value, call.at] as const] : [])));
  return log.flatMap((event) => {
    if (event.type !== 'put') return [];
    const { key, value, modRevision: revision } = event.entry;
    const at = key === `${NAMESPACE}/${MARK}` ? Number(value) : askedAt.get(value);
    return at === undefined ? [] : [{ askedAt: at, revision }];
  });
}

/** Their keys without the prefix. */
function factsBelow(log: readonly LoggedEvent[], prefix: string, valueOf: (value: string) => string): Fact[] {
  return log.flatMap((event) => {
    const key = event.type === 'put' ? event.entry.key : event.key;
    if (!key.startsWith(prefix)) return [];
    const value = event.type === 'put' ? valueOf(event.entry.value) : undefined;
    return [{ key: key.slice(prefix.length), value, revision: revisionOf(event), at: event.at }];
  });
}

function configValue(text: string): string {
  const entry = { key: CONFIG, value: text, createRevision: 0n, modRevision: 0n, version: 0n, lease: 0n };
  return unseal(entry).value as string;
}

/** When each value of one workload was there at the latest; another may write the same. */
function acknowledgements(calls: readonly Ended[], workload: Workload): Map<string, number> {
  const acknowledged = new Map<string, number>();
  for (const { call, settled } of calls) {
    if (call.workload === workload && call.value !== undefined && settled?.outcome === 'ok')
      acknowledged.set(call.value, settled.at);
  }
  return acknowledged;
}
