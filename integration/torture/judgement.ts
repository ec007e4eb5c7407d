import { unseal } from '../../lib/config/envelope.ts';
import { unpackToken } from '../../lib/index.ts';
import { Keyspace } from '../../lib/session/keyspace.ts';
import { CACHE } from './cache-work.ts';
import { CONFIG } from './config-work.ts';
import type { Era } from './eras.ts';
import { judgeChanges, judgeReads, judgeServed, type Fact } from './following.ts';
import { exclusives, workloads, type History, type Workload } from './history.ts';
import type { Round } from './nemesis.ts';
import type { AcceptedWrite } from './register.ts';
import { endedCalls, judgeCounter, judgeDeadlines, judgeWrites, type Ended } from './settling.ts';
import { NAMESPACE, type Disturbance } from './site.ts';
import { revisionOf, type LoggedEvent } from './store-log.ts';
import { allStalls, judgeLosses, judgeTenures, tenuresOf } from './tenures.ts';
import { judgeRestarts, judgeTicks } from './ticks.ts';

/** All that a run leaves. */
export interface Evidence extends Testimony {
  readonly histories: readonly History[];
}

/** What the run itself has seen, besides its clients. It can be written down as JSON. */
export interface Testimony {
  /** The clients whose process ran to the end. */
  readonly survivors: readonly string[];
  /** In order, at least one. */
  readonly eras: readonly Era[];
  /** What it hit with again and again, and what once. */
  readonly faults: readonly string[];
  readonly milestones: readonly string[];
  /** What it could not bring about. */
  readonly leftOut: readonly string[];
  /** How often somebody had to say who he is. */
  readonly authentications: number;
  readonly register: Readonly<
    Record<'guarded' | 'bare', { readonly accepted: readonly AcceptedWrite[]; readonly final: number }>
  >;
  readonly rounds: readonly Round[];
  readonly disturbances: readonly Disturbance[];
  readonly ttlMs: number;
  readonly patienceMs: number;
  /** What happened up to then has been told to everybody. */
  readonly toldUntilMs: number;
}

export interface Judgement {
  readonly violations: readonly string[];
  readonly allowed: readonly string[];
  /** Of each workload, how often something came of it. */
  readonly operations: Readonly<Record<Workload, number>>;
  /** How often calls ended how. */
  readonly endings: ReadonlyMap<string, number>;
  readonly checked: Readonly<Record<string, number>>;
}

const keyspace = new Keyspace(NAMESPACE);

/** Holds what the clients say against what the store and the register say. */
export function judge(evidence: Evidence): Judgement {
  const { histories, eras, register, disturbances, ttlMs } = evidence;
  const violations: string[] = [];
  const allowed: string[] = [];

  /* Tokens, beliefs and the register outlast a restore. */
  const stalls = allStalls(histories);
  const leaseOf = leasesOf(eras);
  for (const workload of exclusives) {
    const tenures = tenuresOf(histories, workload);
    const verdict = judgeTenures(workload, { tenures, disturbances, leaseOf, stalls, ttlMs });
    violations.push(...verdict.violations);
    allowed.push(...verdict.allowed);
  }
  const calls = histories.flatMap(endedCalls);
  const { accepted, final } = register.guarded;
  violations.push(
    ...histories.flatMap(judgeLosses),
    ...histories.flatMap(judgeDeadlines),
    ...judgeCounter(accepted, final),
    ...judgeWrites(
      'guarded write',
      calls.filter(({ call }) => call.what === 'guarded write'),
      accepted.map(({ write }) => write),
    ),
    ...judgeRecovery(evidence.rounds, evidence.patienceMs),
  );

  let past: readonly History[] = [];
  for (const era of eras) {
    const present = histories.filter(({ client }) => era.clients.includes(client));
    violations.push(...judgeEra(era, present, calls, evidence));
    if (era.backup !== undefined) violations.push(...judgeRestarts(past, present, era.backup.at));
    past = [...past, ...present];
  }
  return { violations, allowed, ...counts(histories, calls) };
}

/** What clients were told, served and promised by the store, as it was in their time. */
function judgeEra(
  { log, records }: Era,
  histories: readonly History[],
  allCalls: readonly Ended[],
  { survivors, toldUntilMs }: Testimony,
): string[] {
  const calls = histories.flatMap(endedCalls);
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
  return [
    ...writes('put', ['put'], cacheFacts),
    ...writes('config version', ['set', 'update'], configFacts),
    ...judgeTicks(histories, records),
    ...histories.flatMap((history) => {
      const untilMs = survivors.includes(history.client) ? toldUntilMs : undefined;
      return [
        ...judgeChanges(history, 'cache', cacheFacts, untilMs),
        ...judgeChanges(history, 'config', configFacts, untilMs),
        ...judgeServed(history, 'cache', cacheFacts, puts),
        ...judgeServed(history, 'config', configFacts, versions),
        ...judgeReads(history, cacheFacts, puts),
      ];
    }),
  ];
}

/** Liveness: after healing every workload gets on. */
export function judgeRecovery(rounds: readonly Round[], patienceMs: number): string[] {
  return rounds.flatMap(({ hits, recovered }) =>
    workloads
      .filter((workload) => recovered[workload] === undefined)
      .map((workload) => {
        const after = hits.map(({ fault, client = '' }) => `${fault} ${client}`).join(', ');
        return `L6 ${workload}: nothing came of it for ${patienceMs} ms after the end of: ${after}`;
      }),
  );
}

/** The lease on which a token was granted: the epoch says in which era, and the revision with which key. */
function leasesOf(eras: readonly Era[]): (token: bigint) => bigint | undefined {
  const leases = eras.map(
    ({ log }) =>
      new Map(log.flatMap((event) => (event.type === 'put' ? [[event.entry.createRevision, event.entry.lease]] : []))),
  );
  return (token) => {
    const { epoch, revision } = unpackToken(token);
    return leases[epoch]?.get(revision);
  };
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

function counts(
  histories: readonly History[],
  calls: readonly Ended[],
): Pick<Judgement, 'operations' | 'endings' | 'checked'> {
  const operations: Record<Workload, number> = { lock: 0, shared: 0, election: 0, cache: 0, config: 0, schedule: 0 };
  const endings = new Map<string, number>();
  for (const { call, settled } of calls) {
    const how =
      settled === undefined ? 'killed' : settled.outcome === 'ok' ? 'ok' : `${settled.outcome} ${settled.code}`;
    const ending = `${call.workload} ${call.what}: ${how}`;
    endings.set(ending, (endings.get(ending) ?? 0) + 1);
    if (settled?.outcome === 'ok') operations[call.workload] += 1;
  }
  const checked: Record<string, number> = {};
  for (const { events } of histories) {
    for (const event of events) {
      const what = 'workload' in event ? `${event.workload} ${event.kind}` : event.kind;
      checked[what] = (checked[what] ?? 0) + 1;
      if (event.kind === 'granted' && event.workload === 'election') operations.election += 1;
      if (event.kind === 'start') operations.schedule += 1;
    }
  }
  return { operations, endings, checked };
}
