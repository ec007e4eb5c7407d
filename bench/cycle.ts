/**
 * Locks that nobody else wants, one for each caller, acquired and released on and on: against others' locks, and against what one write
 * costs with the same library, which is what no lock can do without.
 */
import { RpcCounts } from '../integration/lock/support/rpc-counts.ts';
import { Crew, turns } from './crew.ts';
import { showSpread, type Finding, type Results, type Sheet, type Spread, type Target } from './findings.ts';
import {
  CURATOR,
  ETCD3_LOCK,
  GO_MUTEX,
  HOLDFAST,
  POSTGRES,
  RAW_GO,
  RAW_NODE,
  REDLOCK,
  type Program,
} from './programs.ts';
import { spreadOf } from './rounds.ts';
import { callsOf } from './server-calls.ts';
import type { Site } from './site.ts';

export interface CycleOptions {
  readonly rounds: number;
  /** By how many callers at once. */
  readonly loads: readonly number[];
  /** How long each program has its turn. */
  readonly turnMs: number;
}

interface Turn {
  /** For one cycle, as one caller sees it. */
  readonly ms: number;
  readonly perSecond: number;
  readonly calls: number;
}

type Turns = ReadonlyMap<Program, readonly Turn[]>;

const PROGRAMS = [HOLDFAST, RAW_NODE, ETCD3_LOCK, RAW_GO, GO_MUTEX, CURATOR, REDLOCK, POSTGRES];

export async function cycle(site: Site, { rounds, loads, turnMs }: CycleOptions): Promise<Results> {
  await using crew = await Crew.muster(site, PROGRAMS, { processes: 1 });
  const findings: Finding[] = [];
  const sheets: Sheet[] = [];
  for (const callers of loads) {
    const measured = new Map<Program, Turn[]>(crew.programs.map((program) => [program, []]));
    /* Once for nothing, and shorter: what is compiled as it runs is then compiled. */
    for (const program of crew.programs) await take(site, crew, program, { callers, turnMs: turnMs / 2, name: 'warm' });
    for (const { round, who } of turns(crew.programs, rounds)) {
      measured.get(who)?.push(await take(site, crew, who, { callers, turnMs, name: `cycle-${callers}-${round}` }));
    }
    findings.push(...findingsOf(crew, callers, measured));
    sheets.push(sheetOf(callers, measured));
  }
  return { findings, sheets };
}

async function take(
  site: Site,
  crew: Crew,
  program: Program,
  { callers, turnMs, name }: { readonly callers: number; readonly turnMs: number; readonly name: string },
): Promise<Turn> {
  const [peer] = crew.of(program);
  if (peer === undefined) throw new Error(`Expected a process of ${program.name}`);
  await peer.ask('callers', callers);
  const counts = await RpcCounts.start(site.etcd);
  const [cycles, microseconds] = (await peer.ask('cycle', callers, turnMs, name)).map(Number) as [number, number];
  return {
    ms: (microseconds * callers) / cycles / 1_000,
    perSecond: cycles / (microseconds / 1e6),
    calls: callsOf(await counts.sinceStart()) / cycles,
  };
}

function findingsOf(crew: Crew, callers: number, measured: Turns): readonly Finding[] {
  const what = callers === 1 ? 'lock + unlock, 1 caller' : `lock + unlock, ${callers} callers, ${callers} locks`;
  const ours = measured.get(HOLDFAST) ?? [];
  const against = (peer: Program, value: (own: Turn, other: Turn) => number): Spread =>
    spreadOf(
      ours.map((turn, round) => [turn, measured.get(peer)?.[round]] as const),
      ([own, other]) => (other === undefined ? Number.NaN : value(own, other)),
    );
  const targets: ReadonlyMap<Program, Target> =
    callers === 1
      ? new Map<Program, Target>([
          [RAW_NODE, { atMost: 2.1 }],
          [GO_MUTEX, { atMost: 2.2 }],
        ])
      : callers === 64
        ? new Map<Program, Target>([
            [GO_MUTEX, { atLeast: 1.5 }],
            [ETCD3_LOCK, { atLeast: 15 }],
          ])
        : new Map();
  const peers = [RAW_NODE, ETCD3_LOCK, RAW_GO, GO_MUTEX, CURATOR, REDLOCK, POSTGRES].filter((peer) => crew.has(peer));
  return [
    ...peers.map((peer): Finding => {
      const target = targets.get(peer);
      return {
        what: callers === 1 ? `${what}: time, of ${timeOfPeer(peer)}` : `${what}: cycles a second, of ${peer.name}'s`,
        measured:
          callers === 1
            ? against(peer, (own, other) => own.ms / other.ms)
            : against(peer, (own, other) => own.perSecond / other.perSecond),
        ...(target === undefined ? {} : { target }),
      };
    }),
    {
      what: `${what}: RPCs per cycle`,
      measured: spreadOf(ours, ({ calls }) => calls),
      ...(callers === 1 ? { target: { atMost: 2 } } : callers === 64 ? { target: { atMost: 0.3 } } : {}),
    },
  ];
}

function timeOfPeer(peer: Program): string {
  return peer === RAW_NODE || peer === RAW_GO ? `a ${peer.name}` : `${peer.name}'s`;
}

function sheetOf(callers: number, measured: Turns): Sheet {
  return {
    title: `Lock + unlock, ${callers} ${callers === 1 ? 'caller' : `callers, ${callers} locks`}`,
    head: ['', 'cycles/s', 'ms for one', 'RPCs per cycle'],
    rows: [...measured].map(([program, all]) => [
      program.name,
      showSpread(spreadOf(all, ({ perSecond }) => perSecond)),
      showSpread(spreadOf(all, ({ ms }) => ms)),
      program.server === 'etcd' ? showSpread(spreadOf(all, ({ calls }) => calls)) : '',
    ]),
  };
}
