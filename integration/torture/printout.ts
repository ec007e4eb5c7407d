import { LEAST_HITS } from './coverage.ts';
import { workloads } from './history.ts';
import type { TortureReport } from './torture.ts';

/** How much a run has to do, to count. */
export interface Demand {
  readonly faults: number;
  /** Of workload and fault, with {@link LEAST_HITS} hits. */
  readonly cells: number;
  /** Of each workload. */
  readonly operations: number;
}

const SHOWN_VIOLATIONS = 40;

/** What a run did, and what came of it. */
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
    `${report.rounds.length} rounds, ${report.processes} processes, ${(report.tookMs / 1_000).toFixed(0)} s`,
    `${report.refusedWrites} stale writes refused by the guard; without a guard ${bare.lost} of ${bare.writes} writes were lost`,
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
