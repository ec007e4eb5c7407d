import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type JobRecord } from '../../lib/index.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { writeTestimony } from './archive.ts';
import { ClientProcess } from './client-process.ts';
import { JOB } from './exclusive-work.ts';
import { Nemesis, type Round } from './nemesis.ts';
import { Register } from './register.ts';
import { NAMESPACE, Site } from './site.ts';
import { tickRecords } from './ticks.ts';

export interface TortureOptions {
  readonly seed: number;
  /** For histories. */
  readonly folder: string;
  /** Ends after the round in which this is reached. */
  readonly isEnough: (hits: number, elapsedMs: number) => boolean;
  readonly onRound: (round: Round) => void;
}

const CLIENTS = 4;
const TTL_MS = 3_000;
const REQUEST = { timeoutMs: 1_000, deadlineMs: 3_000 };

/** TTL + 2 elections + 2 s, and what a busy machine needs to start a process. */
const PATIENCE_MS = TTL_MS + 2 * 1_000 + 2_000 + 1_500;

const START_WITHIN_MS = 20_000;

/** At the end everybody is told of everything within that. */
const LAST_QUIET_MS = 4_000;
const CATCH_UP_MS = 15_000;

/** Lets clients work on a real cluster while a nemesis hits both. What was seen is in the folder then. */
export async function torture({ seed, folder, isEnough, onRound }: TortureOptions): Promise<void> {
  const startedAt = machineMs();
  await using site = await Site.start();
  await using register = await Register.start();
  await using clients = await Clients.start(site, register, folder);
  await clients.atWork();
  const random = new SeededRandom(seed);
  const nemesis = new Nemesis(random, site, clients.all, PATIENCE_MS);
  while (!isEnough(nemesis.hits.length, machineMs() - startedAt)) onRound(await nemesis.round());

  const toldUntilMs = machineMs();
  await sleep(LAST_QUIET_MS);
  const survivors = clients.all.flatMap(({ lives }) => lives.at(-1)?.name ?? []);
  await clients.stop();
  await site.log.catchUp(CATCH_UP_MS);
  const { accepted, values } = register;
  writeTestimony(folder, {
    ...{ survivors, toldUntilMs, ttlMs: TTL_MS, patienceMs: PATIENCE_MS },
    log: site.log.events,
    disturbances: site.disturbances,
    rounds: nemesis.rounds,
    records: tickRecords(await jobRecords(site)),
    register: {
      guarded: { accepted: accepted.guarded, final: values.guarded },
      bare: { accepted: accepted.bare, final: values.bare },
    },
  });
}

class Clients implements AsyncDisposable {
  readonly all: readonly ClientProcess[];

  private constructor(all: readonly ClientProcess[]) {
    this.all = all;
  }

  static async start(
    { cluster: { endpoints } }: Site,
    { url: registerUrl }: Register,
    folder: string,
  ): Promise<Clients> {
    const coordinator = { namespace: NAMESPACE, session: { ttlMs: TTL_MS }, request: REQUEST };
    const starting = Array.from({ length: CLIENTS }, (_, index) =>
      ClientProcess.start({
        name: `client-${index + 1}`,
        ...{ endpoints, coordinator, registerUrl, folder, requestDeadlineMs: REQUEST.deadlineMs },
      }),
    );
    return new Clients(await Promise.all(starting));
  }

  /** Resolves when every client writes, and somebody has led and started the job. */
  async atWork(): Promise<void> {
    const deadline = machineMs() + START_WITHIN_MS;
    const hasBegun = (): boolean =>
      this.all.every((client) => client.progressedAt('cache') > 0) &&
      (['lock', 'election', 'config', 'schedule'] as const).every((workload) =>
        this.all.some((client) => client.progressedAt(workload) > 0),
      );
    while (!hasBegun()) {
      if (machineMs() > deadline) throw new Error(`Not every workload had begun after ${START_WITHIN_MS} ms.`);
      await sleep(100);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((client) => client.kill()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((client) => client[Symbol.asyncDispose]()));
  }
}

/** What the job has written down of itself, newest first. */
async function jobRecords({ cluster: { endpoints } }: Site): Promise<readonly JobRecord[]> {
  await using coordinator = createCoordinator({ endpoints, namespace: NAMESPACE, request: REQUEST });
  await coordinator.ready({ timeoutMs: CATCH_UP_MS });
  const job = coordinator.schedule(JOB.name, JOB.pattern, () => {}, { historyLimit: 1_000 });
  await job.pause();
  await job.stop();
  return await job.history({ limit: 1_000 });
}
