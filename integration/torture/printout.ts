import { covered } from './floors.ts';
import { workloads } from './history.ts';
import type { Round } from './nemesis.ts';
import type { TortureReport } from './report.ts';

const SHOWN_VIOLATIONS = 40;

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
