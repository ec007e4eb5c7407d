/**
 * How much has to happen. A run in which nothing goes wrong because nothing happened proves nothing, and a change of the simulation that
 * makes a fault miss, or workers idle, would show nowhere else. So a run of many seeds fails if it saw less than this.
 */
import { FAULTS } from './faults.ts';

interface Floor {
  /** The name in the counts of a run. */
  readonly name: string;
  /** So many at least in a thousand seeds: about half of what is seen today. */
  readonly per1000: number;
  /** What it would mean if there were fewer. */
  readonly why: string;
}

/** Fewer seeds than these are no average: what is drawn for a run as a whole weighs too much. */
const JUDGED_FROM_SEEDS = 200;

/** Of each kind. One that never strikes is not tested at all. */
const FAULTS_PER_1000 = 200;

const floors: readonly Floor[] = [
  { name: 'virtual seconds', per1000: 57_600, why: '5,000 seeds are to be 80 hours of trouble' },
  { name: 'operations', per1000: 140_000, why: 'workers wait for something that does not come' },
  { name: 'grants', per1000: 30_000, why: 'nobody gets a lock, or is elected' },
  { name: 'losses', per1000: 600, why: 'holders are never cut off for longer than their lease' },
  { name: 'hand-overs between machines', per1000: 20_000, why: 'tokens are compared only within one machine' },
  { name: 'keys passed on', per1000: 1_200, why: 'no key has a second holder, or rests' },
  { name: 'updates accepted', per1000: 30_000, why: 'the guarded counter is not used' },
  { name: 'updates refused', per1000: 3_000, why: 'no stale token ever comes to the guard' },
  { name: 'updates lost without a guard', per1000: 3_000, why: 'the guard has nothing to prevent' },
  { name: 'ticks started', per1000: 6_000, why: 'no job is led' },
  { name: 'ticks missed', per1000: 4_000, why: 'nothing ever keeps a job from its ticks' },
  { name: 'works recorded', per1000: 3_500, why: 'no work is done once' },
  { name: 'results of others', per1000: 20_000, why: 'nobody asks for what somebody else has done' },
  { name: 'machines that served from a file', per1000: 400, why: 'no process starts cold, or none finds a file' },
];

export interface Shortfall extends Floor {
  readonly seen: number;
  readonly least: number;
}

/** What so many seeds saw too little of. */
export function shortfalls(counts: ReadonlyMap<string, number>, seeds: number): readonly Shortfall[] {
  if (seeds < JUDGED_FROM_SEEDS) return [];
  const ofFaults = FAULTS.map((fault) => ({
    name: `fault: ${fault}`,
    per1000: FAULTS_PER_1000,
    why: 'it is in no mood, or is taken back before it strikes',
  }));
  return [...floors, ...ofFaults]
    .map((floor) => ({
      ...floor,
      seen: counts.get(floor.name) ?? 0,
      least: Math.floor((floor.per1000 * seeds) / 1_000),
    }))
    .filter(({ seen, least }) => seen < least);
}

export function shortOf({ name, seen, least, why }: Shortfall): string {
  return `${Math.floor(seen)} of "${name}", expected ${least} or more. Fewer mean: ${why}`;
}
