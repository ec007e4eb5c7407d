import { clientFaults } from './client-faults.ts';
import { cellsOf, LEAST_HITS, type Cell } from './coverage.ts';
import { etcdFaults } from './etcd-faults.ts';
import { workloads } from './history.ts';
import { judge, type Evidence, type Judgement } from './judgement.ts';
import type { Hit } from './nemesis.ts';

/** What a run did, and what came of it. */
export interface TortureReport extends Judgement {
  readonly hits: readonly Hit[];
  readonly cells: readonly Cell[];
  readonly rounds: number;
  readonly processes: number;
  /** The slowest workload, after the healing of a round. */
  readonly slowestMs: number;
  /** Reads and writes with a stale token, of the counter behind the guard. */
  readonly refused: number;
  readonly bare: { readonly writes: number; readonly lost: number };
}

/** How much a run has to do, to count. */
export interface Demand {
  readonly faults: number;
  readonly hitsOfEach: number;
  /** Of workload and fault, with {@link LEAST_HITS} hits. */
  readonly cells: number;
  /** Of each workload. */
  readonly operations: number;
}

const SHOWN_VIOLATIONS = 40;

export function reportOf(evidence: Evidence): TortureReport {
  const { histories, rounds, register } = evidence;
  const hits = rounds.flatMap((round) => round.hits).filter(({ hit }) => hit);
  const faults = [...clientFaults, ...etcdFaults].map(({ name }) => name);
  const judgement = judge(evidence);
  const writes = register.bare.accepted.length;
  return {
    ...judgement,
    ...{ hits, cells: cellsOf(faults, hits, histories), rounds: rounds.length, processes: histories.length },
    slowestMs: Math.max(...rounds.flatMap(({ recovered }) => Object.values(recovered))),
    refused: judgement.endings.get('lock guarded write: failed STALE_TOKEN') ?? 0,
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
    ...allowed.map((line) => `allowed by the documents: ${line}`),
    ...violations.slice(0, SHOWN_VIOLATIONS).map((line) => `VIOLATED ${line}`),
    `${hits.length} faults, ${covered(report)} cells of workload and fault, ${violations.length} violations`,
  ];
}

/** What is missing; none, if the run did enough. */
export function shortfalls(report: TortureReport, demand: Demand): string[] {
  const { hits, operations } = report;
  const missing: string[] = [];
  if (hits.length < demand.faults) missing.push(`${hits.length} of ${demand.faults} faults hit`);
  for (const { name } of [...clientFaults, ...etcdFaults]) {
    const count = hits.filter(({ fault }) => fault === name).length;
    if (count < demand.hitsOfEach) missing.push(`${count} of ${demand.hitsOfEach} hits of: ${name}`);
  }
  const cells = covered(report);
  if (cells < demand.cells) missing.push(`${cells} of ${demand.cells} cells of workload and fault`);
  for (const workload of workloads) {
    const count = operations[workload];
    if (count < demand.operations) missing.push(`${count} of ${demand.operations} operations of ${workload}`);
  }
  return missing;
}

function covered({ cells }: TortureReport): number {
  return cells.filter(({ hits }) => hits >= LEAST_HITS).length;
}
