/**
 * One lock that everybody wants, and nobody keeps: how often it changes hands, how long one waits for it, who never gets it, and what that
 * costs etcd. `16×4` are 16 contenders, spread evenly over 4 processes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
import { Crew, turns } from './crew.ts';
import { showSpread, type Finding, type Results, type Spread, type Target } from './findings.ts';
import type { PeerProcess } from './peer-process.ts';
import {
  CURATOR,
  ETCD3_ELECTION,
  ETCD3_LOCK,
  GO_MUTEX,
  HOLDFAST,
  HOLDFAST_STRICT,
  LOCKS,
  POSTGRES,
  REDLOCK,
  type Program,
} from './programs.ts';
import { quantile, spreadOf } from './rounds.ts';
import { callsOf } from './server-calls.ts';
import type { Site } from './site.ts';

export interface ContentionOptions {
  readonly rounds: number;
  /** What passes before anything counts: everybody has to be in the queue. */
  readonly warmMs: number;
  readonly countedMs: number;
  readonly shapes: readonly Shape[];
}

/** How many contenders there are in all, and in how many processes. */
export interface Shape {
  readonly contenders: number;
  readonly processes: number;
}

/** For so long a process may pass a lock on; see lib/lock/fenced-lock.ts. */
const HANDOFF_MS = 20;

export const SHAPES: readonly Shape[] = [
  { contenders: 2, processes: 2 },
  { contenders: 16, processes: 1 },
  { contenders: 16, processes: 4 },
  { contenders: 64, processes: 4 },
  { contenders: 256, processes: 4 },
];

/** Enough to see that everything works. */
export const QUICK_SHAPES: readonly Shape[] = [
  { contenders: 2, processes: 2 },
  { contenders: 8, processes: 2 },
];

/** What one program did in one round. */
interface Turn {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly served: number;
  readonly failed: number;
  /** Where the server is etcd. */
  readonly calls: number;
}

type Turns = ReadonlyMap<Program, readonly Turn[]>;

export async function contention(site: Site, options: ContentionOptions): Promise<Results> {
  const processes = Math.max(...options.shapes.map((shape) => shape.processes));
  await using crew = await Crew.muster(site, LOCKS, { processes });
  const results: Results[] = [];
  for (const shape of options.shapes) {
    const measured = await measure(site, crew, shape, options);
    results.push({ findings: findingsOf(crew, shape, measured), sheets: [sheetOf(shape, measured)] });
  }
  return {
    findings: results.flatMap(({ findings }) => findings),
    sheets: results.flatMap(({ sheets = [] }) => sheets),
  };
}

async function measure(site: Site, crew: Crew, shape: Shape, options: ContentionOptions): Promise<Turns> {
  const measured = new Map<Program, Turn[]>(crew.programs.map((program) => [program, []]));
  /* Whoever has a connection or a lease for each contender gets them first. */
  for (const program of crew.programs) {
    for (const peer of crew.of(program, shape.processes)) {
      await peer.ask('callers', shape.contenders / shape.processes);
    }
  }
  for (const { round, who } of turns(crew.programs, options.rounds)) {
    const name = `hot-${shape.contenders}x${shape.processes}-${round}`;
    measured.get(who)?.push(await contend(site, crew.of(who, shape.processes), shape, { name, ...options }));
  }
  return measured;
}

async function contend(
  site: Site,
  peers: readonly PeerProcess[],
  { contenders, processes }: Shape,
  { name, warmMs, countedMs }: { readonly name: string; readonly warmMs: number; readonly countedMs: number },
): Promise<Turn> {
  const asked = Promise.all(peers.map((peer) => peer.ask('contend', name, contenders / processes, warmMs, countedMs)));
  const [answers, calls] = await Promise.all([asked, callsWithin(site, { warmMs, countedMs })]);
  const waits = answers
    .flatMap(([, , text = '']) => (text === '' ? [] : text.split(',').map(Number)))
    .toSorted((a, b) => a - b);
  return {
    perSecond: waits.length / (countedMs / 1_000),
    p50: quantile(waits, 0.5) / 1_000,
    p99: quantile(waits, 0.99) / 1_000,
    served: answers.reduce((sum, [served]) => sum + Number(served), 0),
    failed: answers.reduce((sum, [, failed]) => sum + Number(failed), 0),
    calls: calls / waits.length,
  };
}

async function callsWithin(
  site: Site,
  { warmMs, countedMs }: { readonly warmMs: number; readonly countedMs: number },
): Promise<number> {
  await sleep(warmMs);
  const counts = await RpcCounts.start(site.etcd);
  await sleep(countedMs);
  return callsOf(await counts.sinceStart());
}

function findingsOf(crew: Crew, shape: Shape, measured: Turns): readonly Finding[] {
  const what = `hot lock, ${shape.contenders}×${shape.processes}`;
  const ratio = (peer: Program, value: (turn: Turn) => number, own: Program = HOLDFAST): Spread => {
    const [ours = [], theirs = []] = [measured.get(own), measured.get(peer)];
    return spreadOf(
      ours.map((turn, round) => [turn, theirs[round]] as const),
      ([mine, other]) => (other === undefined ? Number.NaN : value(mine) / value(other)),
    );
  };
  const peers = [GO_MUTEX, ETCD3_LOCK, ETCD3_ELECTION, CURATOR, REDLOCK, POSTGRES].filter((peer) => crew.has(peer));
  const findings = peers.map((peer): Finding => {
    const target = targetOf(peer, shape);
    return {
      what: `${what}: hand-overs, of ${peer.name}'s`,
      measured: ratio(peer, ({ perSecond }) => perSecond),
      ...(target === undefined ? {} : { target }),
    };
  });
  const ours = measured.get(HOLDFAST) ?? [];
  const cost: Finding = {
    what: `${what}: RPCs per hand-over`,
    measured: spreadOf(ours, ({ calls }) => calls),
    target: shape.contenders === 2 ? { atMost: 2 } : { atMost: 0.2 },
  };
  const fairness: Finding = {
    what: `${what}: contenders that ever got it, of all`,
    measured: spreadOf(ours, ({ served }) => served / shape.contenders),
    target: { atLeast: 1 },
  };
  const wait: Finding = {
    what: `${what}: p99 of the wait, of Go Mutex's`,
    measured: ratio(GO_MUTEX, ({ p99 }) => p99),
    ...(shape.contenders === 2 ? { target: { atMost: 0.5 } } : {}),
  };
  /* A hand-over to another process takes a few milliseconds, and each of them has its 20 ms. */
  const turn: Finding = {
    what: `${what}: p99 of the wait, of the turns of the other processes`,
    measured: spreadOf(ours, ({ p99 }) => p99 / ((shape.processes - 1) * HANDOFF_MS)),
    target: { atMost: 1.5, why: 'with the hand-overs between them' },
  };
  const strict = measured.get(HOLDFAST_STRICT) ?? [];
  const withoutHandoff: Finding[] = [
    {
      what: `${what}, without handoff: RPCs per hand-over`,
      measured: spreadOf(strict, ({ calls }) => calls),
      target: { atMost: shape.contenders === 2 ? 2.05 : 1.05, why: 'the write, and what began before' },
    },
  ];
  if (crew.has(GO_MUTEX)) {
    withoutHandoff.unshift({
      what: `${what}, without handoff: hand-overs, of Go Mutex's`,
      measured: ratio(GO_MUTEX, ({ perSecond }) => perSecond, HOLDFAST_STRICT),
      target: { atLeast: shape.contenders === 2 ? 3 : shape.contenders === 16 ? 1.5 : 0.8 },
    });
  }
  return [
    ...findings,
    cost,
    fairness,
    ...(shape.contenders === 256 ? [turn] : []),
    ...(crew.has(GO_MUTEX) ? [wait] : []),
    ...withoutHandoff,
  ];
}

/** Of docs/performance.md's targets those for many local contenders, where a lock is handed on inside a process. */
function targetOf(peer: Program, { contenders, processes }: Shape): Target | undefined {
  const isCrowded = contenders === 64 && processes === 4;
  if (peer === GO_MUTEX) return { atLeast: contenders === 2 ? 3 : isCrowded ? 8 : 20 };
  if (peer === ETCD3_LOCK && contenders > 2) return { atLeast: 100 };
  if (peer === POSTGRES && isCrowded) return { atLeast: 1 };
  return undefined;
}

function sheetOf({ contenders, processes }: Shape, measured: Turns): NonNullable<Results['sheets']>[number] {
  const isEtcd = (program: Program): boolean => program.server === 'etcd';
  return {
    title: `One hot lock, ${contenders} contenders in ${processes} ${processes === 1 ? 'process' : 'processes'}`,
    head: [
      '',
      'hand-overs/s',
      'wait p50, ms',
      'wait p99, ms',
      `ever served, of ${contenders}`,
      'RPCs per hand-over',
      'failed calls',
    ],
    rows: [...measured].map(([program, all]) => [
      program.name,
      ...[
        spreadOf(all, (turn) => turn.perSecond),
        spreadOf(all, (turn) => turn.p50),
        spreadOf(all, (turn) => turn.p99),
      ].map((spread) => showSpread(spread)),
      showSpread(spreadOf(all, (turn) => turn.served)),
      isEtcd(program) ? showSpread(spreadOf(all, (turn) => turn.calls)) : '',
      String(all.reduce((sum, { failed }) => sum + failed, 0)),
    ]),
  };
}
