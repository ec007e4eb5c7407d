import { clientFaults } from './client-faults.ts';
import { etcdFaults } from './etcd-faults.ts';
import { workloadOf, workloads, type History, type HistoryEvent, type Workload } from './history.ts';
import type { Hit } from './nemesis.ts';

/** How often a fault hit a workload at work. */
export interface Cell {
  readonly fault: string;
  readonly workload: Workload;
  readonly hits: number;
}

/** A cell with fewer hits does not count. */
const LEAST_HITS = 2;

const LEASE_FAULTS = new Set<string>(
  [...clientFaults, ...etcdFaults].flatMap(({ name, touchesLeases }) => (touchesLeases === true ? [name] : [])),
);

/** Those that count. */
export function coveredOf(cells: readonly Cell[]): readonly Cell[] {
  return cells.filter(({ hits }) => hits >= LEAST_HITS);
}

/** How many of the faults that leases suffer from have met a workload. */
export function leaseFaultsMet(cells: readonly Cell[], workload: Workload): number {
  return coveredOf(cells).filter((cell) => cell.workload === workload && LEASE_FAULTS.has(cell.fault)).length;
}

/** What counts as at work. Who only waits for a leadership or for a tick is not; the lock goes round all the time. */
const SIGNS: Record<Workload, (event: HistoryEvent) => boolean> = {
  lock: (event) => event.kind === 'settled' || (event.kind === 'held' && event.workload === 'lock'),
  shared: (event) => event.kind === 'held' && workloadOf(event.workload) === 'shared',
  election: (event) => event.kind === 'held' && event.workload === 'election',
  cache: (event) => event.kind === 'served' && event.workload === 'cache',
  config: (event) => event.kind === 'served' && event.workload === 'config',
  schedule: (event) => event.kind === 'start',
  partition: (event) => event.kind === 'held' && workloadOf(event.workload) === 'partition',
  registry: (event) => event.kind === 'shown' && event.isRegistered,
  once: (event) => event.kind === 'held' && workloadOf(event.workload) === 'once',
};

/** A sign of work may be so much older than the fault. */
const RECENT_MS: Record<Workload, number> = {
  lock: 500,
  shared: 500,
  election: 200,
  cache: 500,
  config: 1_000,
  schedule: 1_500,
  partition: 200,
  registry: 500,
  once: 500,
};

/** By fault and workload, how often the hit client (any client, where etcd was hit) was at work when it began. */
export function cellsOf(faults: readonly string[], hits: readonly Hit[], histories: readonly History[]): Cell[] {
  const signs = workloads.map((workload) => ({
    workload,
    byClient: histories.map(({ client, events }) => ({
      name: client.slice(0, client.lastIndexOf('.')),
      instants: events.filter(SIGNS[workload]).map(({ at }) => at),
    })),
  }));
  return faults.flatMap((fault) =>
    signs.map(({ workload, byClient }) => ({
      fault,
      workload,
      hits: hits.filter(
        (hit) =>
          hit.fault === fault &&
          byClient
            .filter(({ name }) => hit.client === undefined || hit.client === name)
            .some(({ instants }) => instants.some((at) => at <= hit.at && at >= hit.at - RECENT_MS[workload])),
      ).length,
    })),
  );
}
