import { coveredOf, leaseFaultsMet } from './coverage.ts';
import { workloads, type Workload } from './history.ts';
import type { Hit } from './nemesis.ts';
import type { TortureReport } from './report.ts';

/**
 * How much a run has to do, to count: without violations is also who did nothing. Each figure is between a half and a tenth of
 * what runs do on two processors that others use, too: below that the harness is broken, or the machine too slow to say anything.
 */
export interface Floors {
  /** Faults that hit. */
  readonly faults: number;
  /** Hits of each fault that comes again and again: one alone may have met nobody at work. */
  readonly hitsOfEach: number;
  /** Cells of workload and fault with enough hits; at most nine for each fault. */
  readonly cells: number;
  /** Of the faults that leases suffer from, fourteen, how many have met what stands on leases. A turn is over soon, so fewer meet one. */
  readonly leaseFaults: Readonly<Record<'partition' | 'registry' | 'once', number>>;
  /** What came of each workload. Elections are long, and a job has a tick a second. */
  readonly operations: Readonly<Record<Workload, number>>;
  /** From one process to another: else nobody's exclusion was tried. */
  readonly handovers: Readonly<Record<'lock' | 'election' | 'partition', number>>;
  /** Writes with a stale token that the guard refused: else no holder ever came too late. Some fifteen in a matrix are aimed at, half at either counter. */
  readonly refused: number;
  /** Updates that the counter without a guard lost: else a guard made no difference. */
  readonly lost: number;
  /** Holders and leaders that were told of their loss, by their own clock or by etcd. */
  readonly lossesTold: number;
  /** Where etcd asks who is there: tokens expired under the clients, who had to say it again. */
  readonly authentications: number;
}

/** For CI, which can count on it: 150 faults are some six minutes. */
export const MATRIX: Floors = {
  faults: 150,
  hitsOfEach: 2,
  cells: 110,
  leaseFaults: { partition: 10, registry: 12, once: 8 },
  operations: {
    ...{ lock: 300, shared: 300, election: 20, cache: 600, config: 200, schedule: 80 },
    ...{ partition: 100, registry: 200, once: 300 },
  },
  handovers: { lock: 60, election: 15, partition: 50 },
  refused: 1,
  lost: 1,
  lossesTold: 10,
  authentications: 0,
};

/** What every minute has to bring, of a run that lasts so many; what is rare, only in long ones. */
export function floorsFor(minutes: number): Floors {
  const each = (perMinute: number): number => Math.floor(minutes * perMinute);
  return {
    faults: each(8),
    hitsOfEach: 0,
    cells: 0,
    leaseFaults: { partition: 0, registry: 0, once: 0 },
    operations: {
      lock: each(40),
      shared: each(40),
      election: each(3),
      cache: each(80),
      config: each(25),
      schedule: each(10),
      partition: each(10),
      registry: each(25),
      once: each(40),
    },
    handovers: { lock: each(8), election: each(2), partition: each(5) },
    refused: each(0.1),
    lost: each(0.1),
    lossesTold: each(1),
    authentications: 0,
  };
}

/** With tokens that last four seconds. */
export function withAuthentication(floors: Floors): Floors {
  return { ...floors, authentications: floors.faults };
}

/** What a run has done so far, of that which chance decides and which can be counted while it goes on. */
export interface Tally {
  /** What it hits with, again and again. */
  readonly faults: readonly string[];
  readonly hits: readonly Hit[];
  /** See {@link Floors}. */
  readonly refused: number;
  readonly lost: number;
}

/** Whether that is enough of each. */
export function isEnough({ faults, hits, refused, lost }: Tally, floors: Floors): boolean {
  const isHit = (name: string): boolean => hits.filter(({ fault }) => fault === name).length >= floors.hitsOfEach;
  return faults.every(isHit) && refused >= floors.refused && lost >= floors.lost;
}

/** What is missing; none, if the run did enough. */
export function shortfalls(report: TortureReport, floors: Floors): string[] {
  const { hits, operations, handovers } = report;
  const missing: string[] = [];
  const demand = (what: string, count: number, least: number): void => {
    if (count < least) missing.push(`${count} of ${least} ${what}`);
  };
  const hitsOf = (name: string): number => hits.filter(({ fault }) => fault === name).length;
  demand('faults hit', hits.length, floors.faults);
  for (const name of report.faults) demand(`hits of: ${name}`, hitsOf(name), floors.hitsOfEach);
  for (const name of report.milestones) demand(`hits of: ${name}`, hitsOf(name), 1);
  demand('cells of workload and fault', covered(report), floors.cells);
  for (const workload of ['partition', 'registry', 'once'] as const) {
    const met = leaseFaultsMet(report.cells, workload);
    demand(`faults of leases that met ${workload}`, met, floors.leaseFaults[workload]);
  }
  for (const workload of workloads) {
    demand(`operations of ${workload}`, operations[workload], floors.operations[workload]);
  }
  demand('hand-overs of the lock', handovers.lock, floors.handovers.lock);
  demand('hand-overs of the leadership', handovers.election, floors.handovers.election);
  demand('hand-overs of partitions', handovers.partition, floors.handovers.partition);
  demand('stale tokens refused', report.refused, floors.refused);
  demand('updates lost without a guard', report.bare.lost, floors.lost);
  demand('losses told', report.lossesTold, floors.lossesTold);
  demand('authentications', report.authentications, floors.authentications);
  return missing;
}

export function covered({ cells }: TortureReport): number {
  return coveredOf(cells).length;
}
