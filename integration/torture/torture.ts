import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type JobRecord } from '../../lib/index.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { writeTestimony } from './archive.ts';
import { TTL_MS } from './client-faults.ts';
import { ClientProcess } from './client-process.ts';
import type { Era } from './eras.ts';
import { OLDEST, upgrade, type EtcdFault } from './etcd-faults.ts';
import { JOB } from './exclusive-work.ts';
import type { Tally } from './floors.ts';
import { readHistory, workloads } from './history.ts';
import { leftovers } from './leftovers.ts';
import { Nemesis, type Round } from './nemesis.ts';
import { Register } from './register.ts';
import { NAMESPACE, Site } from './site.ts';
import { tickRecords } from './ticks.ts';

export interface TortureOptions {
  readonly seed: number;
  /** For histories. */
  readonly folder: string;
  /** etcd asks who is there, and its tokens expire. @default false */
  readonly auth?: boolean;
  /** Watches what the processes need, and never kills one of them, but for the restore. @default false */
  readonly watchesResources?: boolean;
  /** The share that is done; at 1 it ends, after the round. */
  readonly progress: (done: Tally, elapsedMs: number) => number;
  readonly onRound: (round: Round) => void;
}

const CLIENTS = 4;
const REQUEST = { timeoutMs: 1_000, deadlineMs: 3_000 };

/** TTL + 2 elections + 2 s, and what a busy machine needs to start a process. */
const PATIENCE_MS = TTL_MS + 2 * 1_000 + 2_000 + 1_500;

const START_WITHIN_MS = 60_000;

/** A restore comes when that much is done, and loses the work of so long. */
const RESTORE_AFTER = 0.6;
const LOST_WORK_MS = 2_500;

/** At the end everybody is told of everything within that, also who has just been started again, or let back in. */
const TOLD_WITHIN_MS = 30_000;
const TOLD_POLL_MS = 500;
const FOLLOWED = ['cache', 'config'] as const;
const CATCH_UP_MS = 15_000;
const PATIENT = { timeoutMs: 2_000, deadlineMs: CATCH_UP_MS };

/** Lets clients work on a real cluster while a nemesis hits both. What was seen is in the folder then. */
export async function torture({
  seed,
  folder,
  auth = false,
  watchesResources = false,
  progress,
  onRound,
}: TortureOptions): Promise<void> {
  const startedAt = machineMs();
  await using site = await Site.start({ version: OLDEST, auth });
  await using register = await Register.start();
  await using clients = await Clients.start(site, register, { folder, watchesResources });
  await clients.atWork();
  const nemesis = new Nemesis(new SeededRandom(seed), site, clients.all, {
    patienceMs: PATIENCE_MS,
    spares: watchesResources ? 1 : 0,
  });
  const eras: Era[] = [];
  const share = (): number => {
    const { faults, hits } = nemesis;
    const { refused, lost } = register;
    return progress({ faults, hits, refused, lost }, machineMs() - startedAt);
  };
  let authentications = 0;

  onRound(await nemesis.round(upgrade));
  while (share() < 1) {
    const isDue = eras.length === 0 && share() >= RESTORE_AFTER;
    onRound(await (isDue ? nemesis.alone(restoration(clients, eras)) : nemesis.round()));
    authentications = await site.authentications();
  }

  const toldUntilMs = machineMs();
  await clients.untilTold(site.log.revision);
  const survivors = clients.current;
  await clients.stop();
  await endEra(site, clients, eras);
  const { accepted, values } = register;
  writeTestimony(folder, {
    ...{ survivors, toldUntilMs, ttlMs: TTL_MS, patienceMs: PATIENCE_MS, eras, authentications },
    ...{ faults: nemesis.faults, leftOut: nemesis.leftOut },
    milestones: [upgrade.name, RESTORATION],
    leftovers: await leftovers(site.store, PATIENCE_MS),
    disturbances: site.disturbances,
    rounds: nemesis.rounds,
    register: {
      guarded: { accepted: accepted.guarded, final: values.guarded },
      bare: { accepted: accepted.bare, final: values.bare },
    },
  });
}

const RESTORATION = 'etcd restored from a backup, with the epoch raised';

/** As docs/restore.md says: the clients are stopped, and come back when the epoch is raised. */
function restoration(clients: Clients, eras: Era[]): EtcdFault {
  return {
    name: RESTORATION,
    lastsMs: [0, 0],
    begin: async (site) => {
      const backup = await site.backUp();
      await sleep(LOST_WORK_MS);
      await clients.stop();
      await endEra(site, clients, eras);
      const isBack = await site.restore(backup, eras.length);
      await rm(backup.file);
      clients.begin({ revision: backup.revision, at: backup.at });
      await clients.revive();
      return isBack;
    },
  };
}

/** With all clients stopped: writes down what etcd knows, before it is gone. */
async function endEra(site: Site, clients: Clients, eras: Era[]): Promise<void> {
  await site.log.catchUp(CATCH_UP_MS);
  const records = tickRecords(await jobRecords(site));
  eras.push({ ...clients.era, log: site.log.events, records });
}

class Clients implements AsyncDisposable {
  readonly all: readonly ClientProcess[];
  #backup: Era['backup'];
  /** Of earlier eras. */
  #past: readonly string[] = [];

  private constructor(all: readonly ClientProcess[]) {
    this.all = all;
  }

  static async start(
    { cluster: { endpoints }, auth }: Site,
    { url: registerUrl }: Register,
    kept: { readonly folder: string; readonly watchesResources: boolean },
  ): Promise<Clients> {
    const coordinator = { namespace: NAMESPACE, auth, session: { ttlMs: TTL_MS }, request: REQUEST };
    const starting = Array.from({ length: CLIENTS }, (_, index) =>
      ClientProcess.start({
        name: `client-${index + 1}`,
        ...{ endpoints, coordinator, registerUrl, ...kept, requestDeadlineMs: REQUEST.deadlineMs },
      }),
    );
    return new Clients(await Promise.all(starting));
  }

  /** The processes that run, or ran last. */
  get current(): readonly string[] {
    return this.all.flatMap(({ lives }) => lives.at(-1)?.name ?? []);
  }

  /** The processes of this era, and what it began with. */
  get era(): Pick<Era, 'clients' | 'backup'> {
    const clients = this.#names.filter((name) => !this.#past.includes(name));
    return { clients, ...(this.#backup === undefined ? {} : { backup: this.#backup }) };
  }

  get #names(): readonly string[] {
    return this.all.flatMap(({ lives }) => lives.map(({ name }) => name));
  }

  begin(backup: NonNullable<Era['backup']>): void {
    this.#past = this.#names;
    this.#backup = backup;
  }

  /** Resolves when every client writes, and somebody has led and started the job. */
  async atWork(): Promise<void> {
    const deadline = machineMs() + START_WITHIN_MS;
    const hasBegun = (): boolean =>
      this.all.every((client) => client.progressedAt('cache') > 0) &&
      workloads.every((workload) => this.all.some((client) => client.progressedAt(workload) > 0));
    while (!hasBegun()) {
      if (machineMs() > deadline) throw new Error(`Not every workload had begun after ${START_WITHIN_MS} ms.`);
      await sleep(100);
    }
  }

  /**
   * Waits until each of them has written down a change at a revision, or a later one, of all that it follows. There are later ones, since all
   * of them go on writing. Who is not told in time is left to the judge.
   */
  async untilTold(revision: bigint): Promise<void> {
    const deadline = machineMs() + TOLD_WITHIN_MS;
    const left = new Set(this.all.flatMap(({ lives }) => lives.at(-1) ?? []));
    for (;;) {
      for (const life of left) {
        const changes = readHistory(life.name, life.file).events.filter((event) => event.kind === 'change');
        const newest = FOLLOWED.map((workload) => changes.findLast((change) => change.workload === workload));
        if (newest.every((change) => change !== undefined && change.revision >= revision)) left.delete(life);
      }
      if (left.size === 0 || machineMs() > deadline) return;
      await sleep(TOLD_POLL_MS);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((client) => client.kill()));
  }

  /** Resolves when each of them writes again: to start them all at once takes a busy machine its time. */
  async revive(): Promise<void> {
    const since = machineMs();
    for (const client of this.all) client.revive();
    while (this.all.some((client) => client.progressedAt('cache') < since)) {
      if (machineMs() > since + START_WITHIN_MS) throw new Error(`Not every client wrote after ${START_WITHIN_MS} ms.`);
      await sleep(100);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((client) => client[Symbol.asyncDispose]()));
  }
}

/** What the job has written down of itself, newest first. */
async function jobRecords({ cluster: { endpoints }, auth }: Site): Promise<readonly JobRecord[]> {
  /* Nobody renews its lease afterwards, and its session is gone in time even if nothing answers its end. */
  const session = { ttlMs: TTL_MS };
  await using coordinator = createCoordinator({ endpoints, namespace: NAMESPACE, auth, session, request: PATIENT });
  await coordinator.ready({ timeoutMs: CATCH_UP_MS });
  const job = coordinator.schedule(JOB.name, JOB.pattern, () => {}, { historyLimit: 1_000 });
  await job.pause();
  await job.stop();
  return await job.history({ limit: 1_000 });
}
