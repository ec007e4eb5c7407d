import { unpackToken } from '../../lib/index.ts';
import { judgeEra } from './era-judgement.ts';
import type { Era } from './eras.ts';
import { exclusives, workloadOf, workloads, type History, type Workload } from './history.ts';
import type { Round } from './nemesis.ts';
import type { AcceptedWrite } from './register.ts';
import { endedCalls, judgeCounter, judgeDeadlines, judgeWrites, type Ended } from './settling.ts';
import type { Disturbance } from './site.ts';
import { allStalls, judgeLosses, judgeTenures, tenuresOf } from './tenures.ts';
import { judgeRestarts } from './ticks.ts';

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
  /** Keys that stood on leases, and still stand when these must have ended. */
  readonly leftovers: readonly string[];
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

/** Holds what the clients say against what the store and the register say. */
export function judge(evidence: Evidence): Judgement {
  const { histories, eras, register, disturbances, ttlMs } = evidence;
  const violations: string[] = [];
  const allowed: string[] = [];

  /* Tokens, beliefs and the register outlast a restore. */
  const excuses = { disturbances, leaseOf: leasesOf(eras), stalls: allStalls(histories), ttlMs };
  for (const workload of exclusives) {
    const tenures = tenuresOf(histories, workload);
    const verdict = judgeTenures(workload, { tenures, ...excuses });
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
    ...judgeStops(calls),
    ...evidence.leftovers.map((key) => `L4 ${key} still stands, and nobody is there any more`),
  );

  let past: readonly History[] = [];
  for (const era of eras) {
    const present = histories.filter(({ client }) => era.clients.includes(client));
    const verdict = judgeEra(era, { ...evidence, present, calls, excuses });
    violations.push(...verdict.violations);
    allowed.push(...verdict.allowed);
    if (era.backup !== undefined) violations.push(...judgeRestarts(past, present, era.backup.at));
    past = [...past, ...present];
  }
  return { violations, allowed, ...counts(histories, calls) };
}

/** P3: whoever gives up its partitions ends its work, and goes. */
export function judgeStops(calls: readonly Ended[]): string[] {
  return calls
    .filter(({ call, settled }) => call.what === 'stop' && settled !== undefined && settled.outcome !== 'ok')
    .map(({ client, settled }) => `P3 ${client}: partition stop: ${settled?.code} ${settled?.message}`);
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

function counts(
  histories: readonly History[],
  calls: readonly Ended[],
): Pick<Judgement, 'operations' | 'endings' | 'checked'> {
  const operations = Object.fromEntries(workloads.map((workload) => [workload, 0])) as Record<Workload, number>;
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
      if (event.kind === 'granted' && workloadOf(event.workload) === 'partition') operations.partition += 1;
      if (event.kind === 'start') operations.schedule += 1;
    }
  }
  return { operations, endings, checked };
}
