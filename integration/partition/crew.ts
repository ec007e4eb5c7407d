import type { CoordinatorOptions } from '../../lib/index.ts';
import { Assignment } from '../../lib/partition/assignment.ts';
import { machineMs } from '../election/machine-clock.ts';
import { sampleSteadily, type Stall } from '../election/stalls.ts';
import { until } from '../lock/support/until.ts';
import { idOf, OwnerProcess, type Report } from './owner-process.ts';
import { moved, type Period } from './periods.ts';

export interface CrewOptions {
  readonly endpoint: string;
  readonly size: number;
  readonly count: number;
  readonly coordinator: CoordinatorOptions;
}

/** A belief that was reported so lately still stands: its process may have been starved since, and a lease lasts longer. */
const PRESENT_MS = 2_000;

/** Processes that own partitions together, and everything that they have reported. */
export class Crew implements AsyncDisposable {
  readonly owners: readonly OwnerProcess[];
  /** By owner: those of its process and of this one, since its proxy is here. */
  readonly stalls: ReadonlyMap<string, readonly Stall[]>;
  readonly #periods: Map<string, Period>;
  readonly #count: number;
  readonly #stopSampling: () => void;

  private constructor(
    owners: readonly OwnerProcess[],
    periods: Map<string, Period>,
    stalls: ReadonlyMap<string, Stall[]>,
    count: number,
  ) {
    this.owners = owners;
    this.stalls = stalls;
    this.#periods = periods;
    this.#count = count;
    this.#stopSampling = sampleSteadily(
      () => {},
      (stall) => stalls.forEach((each) => each.push(stall)),
    );
  }

  static async start({ endpoint, size, count, coordinator }: CrewOptions): Promise<Crew> {
    const periods = new Map<string, Period>();
    const stalls = new Map<string, Stall[]>();
    const options = { coordinator, name: 'orders', count };
    const owners = Array.from({ length: size }, (_, index) => {
      const owner = `w${index + 1}`;
      const own: Stall[] = [];
      stalls.set(owner, own);
      return OwnerProcess.start(endpoint, owner, options, (report) => {
        if (report.kind === 'stall') own.push(report);
        else note(periods, owner, report);
      });
    });
    return new Crew(await Promise.all(owners), periods, stalls, count);
  }

  get periods(): readonly Period[] {
    return [...this.#periods.values()];
  }

  /** By partition: who believes to own it now. */
  owned(): ReadonlyMap<number, string> {
    const now = machineMs();
    const present = this.periods.filter(({ to, endedAt }) => endedAt === undefined && to > now - PRESENT_MS);
    return new Map(present.map(({ partition, owner }) => [partition, owner]));
  }

  /** Resolves with who owns what once these own everything, each what falls to it. */
  async settled(owners: readonly OwnerProcess[] = this.owners): Promise<ReadonlyMap<number, string>> {
    const due = this.#due(owners.map(({ instanceId }) => instanceId));
    return until('everybody to own what falls to it', () => {
      const owned = this.owned();
      return owned.size === this.#count && moved(due, owned).length === 0 ? owned : false;
    }) as Promise<ReadonlyMap<number, string>>;
  }

  #due(names: readonly string[]): ReadonlyMap<number, string> {
    const members = names.map((name) => ({
      instanceId: name,
      address: name,
      metadata: { count: String(this.#count) },
      revision: 1n,
      toJSON: () => ({}),
    }));
    const assignment = new Assignment(this.#count);
    return new Map(names.flatMap((name) => [...assignment.of(name, members)].map((partition) => [partition, name])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopSampling();
    await Promise.all(this.owners.map((owner) => owner[Symbol.asyncDispose]()));
  }
}

/** The first report of a period makes it, and later ones stretch it. */
function note(periods: Map<string, Period>, owner: string, report: Exclude<Report, { kind: 'stall' }>): void {
  if (report.kind === 'begun') {
    const { partition, token, at } = report;
    periods.set(`${owner} ${idOf(report)}`, { owner, partition, token, from: at, to: at });
    return;
  }
  for (const id of report.kind === 'held' ? report.ids : [report.id]) {
    const period = periods.get(`${owner} ${id}`);
    if (period === undefined) continue;
    if (report.kind === 'held') periods.set(`${owner} ${id}`, { ...period, to: Math.max(period.to, report.at) });
    else if (report.kind === 'told') periods.set(`${owner} ${id}`, { ...period, toldWhy: report.why });
    else periods.set(`${owner} ${id}`, { ...period, endedAt: report.at });
  }
}
