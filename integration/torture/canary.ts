import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { blackholed, stoppedPastTtl } from './client-faults.ts';
import { ClientProcess } from './client-process.ts';
import { datedWrites } from './era-judgement.ts';
import { NEWEST } from './etcd-faults.ts';
import { readHistory, type History } from './history.ts';
import { judgeLeaves } from './members.ts';
import { Register } from './register.ts';
import { endedCalls, judgeCounter } from './settling.ts';
import { NAMESPACE, Site } from './site.ts';
import { revisionsAfter, standsBelow } from './stands.ts';
import { allStalls, judgeTenures, tenuresOf } from './tenures.ts';

export interface CanaryOptions {
  readonly seed: number;
  /** For histories. */
  readonly folder: string;
  readonly lastsMs: number;
}

/** What the checker found wrong with clients of which it is known what is wrong with them. */
export interface CanaryReport {
  readonly faults: number;
  readonly writes: number;
  /** By the register itself. */
  readonly lost: number;
  /** By the checker, as the two below. */
  readonly lostUpdates: readonly string[];
  readonly twoHolders: readonly string[];
  readonly twoLeaders: readonly string[];
  /** Registrations that stood when they were said to have left. */
  readonly hastyLeaves: readonly string[];
}

const CLIENTS = 3;
const TTL_MS = 3_000;
/** A fault outlasts the lease. */
const SHORTEST_MS = 4_000;
const LONGEST_MS = 5_500;
const HOLDER_WITHIN_MS = 8_000;
const REST_MS = 1_500;
/** Each of two faults, on each of two workloads. */
const FEWEST_FAULTS = 4;
const SHOWN = 3;
const CATCH_UP_MS = 15_000;

/**
 * Lets clients of the npm package etcd3 work on the same cluster, with the same register, faults and checker. They have no fencing and do
 * not watch their clocks, so a holder that is stopped or in a blackhole past its TTL goes on. Beside them are clients of this package that say
 * too early that they have left the registry. If nothing is found, the harness is too weak.
 */
export async function canary({ seed, folder, lastsMs }: CanaryOptions): Promise<CanaryReport> {
  await using site = await Site.start({ version: NEWEST, auth: false });
  await using register = await Register.start();
  const start = (program: 'etcd3-client' | 'careless-client', index: number): Promise<ClientProcess> =>
    ClientProcess.start({
      ...{ name: `${program}-${index}`, program, endpoints: site.cluster.endpoints, folder },
      coordinator: { namespace: NAMESPACE, session: { ttlMs: TTL_MS } },
      requestDeadlineMs: TTL_MS,
      registerUrl: register.url,
    });
  const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, index) => start('etcd3-client', index + 1)));
  const careless = await Promise.all([start('careless-client', 1), start('careless-client', 2)]);
  let faults = 0;
  try {
    faults = await hitHolders(clients, careless, site, new SeededRandom(seed), lastsMs);
  } finally {
    await Promise.all([...clients, ...careless].map((client) => client[Symbol.asyncDispose]()));
  }

  const histories = historiesOf(clients);
  const stalls = allStalls(histories);
  const overlaps = (workload: 'lock' | 'election'): string[] =>
    judgeTenures(workload, {
      ...{ tenures: tenuresOf(histories, workload), disturbances: [], leaseOf: () => undefined, stalls, ttlMs: TTL_MS },
    }).violations.filter((line) => line.startsWith('L2/E1'));
  const { accepted, values } = register;
  return {
    faults,
    writes: accepted.bare.length,
    lost: accepted.bare.length - values.bare,
    lostUpdates: judgeCounter(accepted.bare, values.bare),
    twoHolders: overlaps('lock'),
    twoLeaders: overlaps('election'),
    hastyLeaves: await hastyLeaves(historiesOf(careless), site),
  };
}

function historiesOf(clients: readonly ClientProcess[]): History[] {
  return clients.flatMap(({ lives }) => lives.map(({ name, file }) => readHistory(name, file)));
}

async function hastyLeaves(histories: readonly History[], { log }: Site): Promise<string[]> {
  await log.catchUp(CATCH_UP_MS);
  const registrations = standsBelow(log.events, `${NAMESPACE}/registry/`);
  const revisionAfter = revisionsAfter(datedWrites(log.events, histories.flatMap(endedCalls)));
  return histories.flatMap((history) => judgeLeaves(history, registrations, revisionAfter));
}

/** Stops them and cuts them off in turn, and one of the careless beside them. Resolves to how often it did. */
async function hitHolders(
  clients: readonly ClientProcess[],
  [besides]: readonly ClientProcess[],
  site: Site,
  random: SeededRandom,
  lastsMs: number,
): Promise<number> {
  const until = machineMs() + lastsMs;
  let faults = 0;
  while (machineMs() < until) {
    for (const workload of ['lock', 'election'] as const) {
      for (const fault of [stoppedPastTtl, blackholed]) {
        const holder = await holderOf(workload, clients);
        if (holder === undefined || !(await fault.begin(holder, site))) continue;
        faults += 1;
        if (besides !== undefined) await blackholed.begin(besides, site);
        await sleep(random.integer(SHORTEST_MS, LONGEST_MS));
        fault.end?.(holder);
        if (besides !== undefined) blackholed.end?.(besides);
        await sleep(REST_MS);
      }
    }
  }
  return faults;
}

/** What it did not find; none, if the harness is as strong as it has to be. */
export function weaknesses({ faults, lostUpdates, twoHolders, twoLeaders, hastyLeaves }: CanaryReport): string[] {
  const missing: string[] = [];
  if (faults < FEWEST_FAULTS) missing.push(`${faults} of ${FEWEST_FAULTS} faults hit`);
  if (lostUpdates.length === 0) missing.push('no lost update was found');
  if (twoHolders.length === 0) missing.push('no two holders of the lock at one instant were found');
  if (twoLeaders.length === 0) missing.push('no two leaders at one instant were found');
  if (hastyLeaves.length === 0) missing.push('no registration that stood after it had left was found');
  return missing;
}

export function linesOfCanary(report: CanaryReport): string[] {
  const { faults, writes, lost, lostUpdates, twoHolders, twoLeaders, hastyLeaves } = report;
  const shown = (lines: readonly string[]): string[] => lines.slice(0, SHOWN).map((line) => `found: ${line}`);
  return [
    ...[lostUpdates, twoHolders, twoLeaders, hastyLeaves].flatMap(shown),
    `etcd3: ${faults} faults; ${lost} of ${writes} updates lost, ${twoHolders.length} times two holders of the lock and ` +
      `${twoLeaders.length} times two leaders at one instant`,
    `a registry that does not wait: ${hastyLeaves.length} registrations stood after they had left`,
  ];
}

/** Who has just been granted it, or is just leading. */
async function holderOf(
  workload: 'lock' | 'election',
  clients: readonly ClientProcess[],
): Promise<ClientProcess | undefined> {
  const since = machineMs();
  while (machineMs() < since + HOLDER_WITHIN_MS) {
    const holder = clients.find((client) => client.progressedAt(workload) > since);
    if (holder !== undefined) return holder;
    await sleep(1);
  }
  return undefined;
}
