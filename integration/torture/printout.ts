import { cellsOf, type Cell } from './coverage.ts';
import { covered } from './floors.ts';
import { partitions, workloads } from './history.ts';
import { judge, type Evidence, type Judgement } from './judgement.ts';
import type { Hit, Round } from './nemesis.ts';
import { handovers, tenuresOf } from './tenures.ts';

/** What a run did, and what came of it. */
export interface TortureReport extends Judgement {
  readonly faults: readonly string[];
  readonly milestones: readonly string[];
  readonly leftOut: readonly string[];
  readonly hits: readonly Hit[];
  readonly cells: readonly Cell[];
  readonly rounds: number;
  readonly processes: number;
  /** The slowest workload, after the healing of a round. */
  readonly slowestMs: number;
  /** Reads and writes with a stale token, of the counter behind the guard. */
  readonly refused: number;
  /** Holders and leaders whose signal told them. */
  readonly lossesTold: number;
  readonly handovers: Readonly<Record<'lock' | 'election' | 'partition', number>>;
  readonly authentications: number;
  readonly bare: { readonly writes: number; readonly lost: number };
}

const SHOWN_VIOLATIONS = 40;

export function reportOf(evidence: Evidence): TortureReport {
  const { histories, rounds, register, faults, milestones, leftOut, authentications } = evidence;
  const hits = rounds.flatMap((round) => round.hits).filter(({ hit }) => hit);
  const judgement = judge(evidence);
  const writes = register.bare.accepted.length;
  return {
    ...judgement,
    ...{ faults, milestones, leftOut, authentications, hits, rounds: rounds.length, processes: histories.length },
    cells: cellsOf([...faults, ...milestones], hits, histories),
    slowestMs: Math.max(...rounds.flatMap(({ recovered }) => Object.values(recovered))),
    refused: judgement.endings.get('lock guarded write: failed STALE_TOKEN') ?? 0,
    lossesTold: histories.flatMap(({ events }) => events).filter(({ kind }) => kind === 'lost').length,
    handovers: {
      lock: handovers(tenuresOf(histories, 'lock')),
      election: handovers(tenuresOf(histories, 'election')),
      partition: partitions.reduce((sum, partition) => sum + handovers(tenuresOf(histories, partition)), 0),
    },
    bare: { writes, lost: writes - register.bare.final },
  };
}

export function linesOf(report: TortureReport): string[] {
  const { hits, cells, operations, endings, checked, violations, allowed, bare } = report;
  const faults = [...new Set(cells.map(({ fault }) => fault))];
  const row = (name: string, columns: readonly (string | number)[]): string =>
    `${name.padEnd(44)}${columns.map((column) => String(column).padStart(10)).join('')}`;
  return [
    '',
    row('How often it hit, and which workload at work', ['hits', ...workloads]),
    ...faults.map((fault) =>
      row(fault, [
        hits.filter((hit) => hit.fault === fault).length,
        ...cells.filter((cell) => cell.fault === fault).map((cell) => cell.hits),
      ]),
    ),
    row('operations', ['', ...workloads.map((workload) => operations[workload])]),
    '',
    ...[...endings].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([ending, count]) => row(ending, [count])),
    '',
    ...Object.entries(checked).map(([what, count]) => row(`written down: ${what}`, [count])),
    '',
    `${report.rounds} rounds, ${report.processes} processes; after each every workload got on within ${report.slowestMs.toFixed(0)} ms`,
    `${report.refused} stale writes refused by the guard; without a guard ${bare.lost} of ${bare.writes} writes were lost`,
    `${report.handovers.lock} hand-overs of the lock, ${report.handovers.election} of the leadership and ${report.handovers.partition} of partitions between processes; ${report.lossesTold} losses told; ${report.authentications} authentications`,
    ...report.leftOut.map((fault) => `left out, since no process may be traced here: ${fault}`),
    ...allowed.map((line) => `allowed by the documents: ${line}`),
    ...violations.slice(0, SHOWN_VIOLATIONS).map((line) => `VIOLATED ${line}`),
    `${hits.length} faults, ${covered(report)} cells of workload and fault, ${violations.length} violations`,
  ];
}

/** What happened in a round, and how long it took to get on. */
export function lineOf({ hits, recovered }: Round): string {
  const faults = hits.map(({ fault, client, hit }) =>
    [fault, client ?? '', hit ? '' : '(found nothing to hit)'].filter((part) => part !== '').join(' '),
  );
  const late = workloads.filter((workload) => recovered[workload] === undefined);
  const tookMs = Math.max(0, ...Object.values(recovered)).toFixed(0);
  return `${faults.join(', ')}; ${late.length === 0 ? `all got on after ${tookMs} ms` : `${late.join(', ')} did not get on`}`;
}
