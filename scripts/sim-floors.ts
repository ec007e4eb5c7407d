/**
 * What a run of many seeds must have done, for each thousand of them: a simulation in which nothing happens violates nothing. The floors lie
 * at about half of what such runs do, so that they speak of a fault of the simulation and not of a draw.
 */
const PER_THOUSAND: Readonly<Record<string, number>> = {
  grants: 20_000,
  losses: 400,
  terms: 2_500,
  'keys passed on': 1_500,
  'updates accepted': 10_000,
  /* Stale tokens that the guard met, and what the same run loses without one. */
  'updates refused': 800,
  'updates lost without a guard': 800,
  'all: LockLostError': 20,
  'put: ok': 20_000,
  'put: OutcomeUnknownError': 300,
  'set: ok': 5_000,
  'update: ok': 10_000,
  'try: taken': 3_000,
  'requests are parked': 100,
  'answers are lost': 50,
  'etcd crashes': 100,
  'etcd is restored': 200,
  'history is compacted': 100,
  'the space quota is exceeded': 100,
  'a process is paused': 200,
  'a process is killed': 100,
  'a machine is suspended or its clock set back': 100,
  'a wall clock is set forward': 100,
  'a lease is revoked by hand': 100,
};

/** 80 hours in 5,000 seeds. */
const VIRTUAL_HOURS_PER_THOUSAND = 16;

/** Fewer seeds draw too few of everything to be measured. */
const MEASURED_FROM = 1_000;

/** What there was too little of. */
export function shortfalls(
  counts: ReadonlyMap<string, number>,
  virtualHours: number,
  seeds: number,
): readonly string[] {
  if (seeds < MEASURED_FROM) return [];
  const thousands = seeds / 1_000;
  const missing = Object.entries(PER_THOUSAND)
    .filter(([name, floor]) => (counts.get(name) ?? 0) < floor * thousands)
    .map(([name, floor]) => `${name}: ${counts.get(name) ?? 0}, at least ${Math.ceil(floor * thousands)} expected`);
  if (virtualHours < VIRTUAL_HOURS_PER_THOUSAND * thousands) {
    missing.push(
      `virtual hours: ${virtualHours.toFixed(1)}, at least ${VIRTUAL_HOURS_PER_THOUSAND * thousands} expected`,
    );
  }
  return missing;
}
