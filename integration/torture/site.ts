import { setTimeout as sleep } from 'node:timers/promises';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { Keyspace } from '../../lib/session/keyspace.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Store } from '../../lib/store/store.ts';
import { machineMs } from '../election/machine-clock.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { backUp, restore, revisionOf } from '../servers/backup.ts';
import { EtcdCluster } from '../servers/etcd-cluster.ts';
import type { EtcdServer } from '../servers/etcd-server.ts';
import { SlowDisk } from '../servers/slow-disk.ts';
import type { ClientProcess } from './client-process.ts';
import { Elections } from './elections.ts';
import { CLIENT, lockUp, ROOT, tokenFlags } from './secrets.ts';
import { newestRevision, StoreLog } from './store-log.ts';

export const NAMESPACE = 'torture';

const PREFIX = `${NAMESPACE}/`;
const CALL = { timeoutMs: 2_000 };
const LEADER_WITHIN_MS = 30_000;
const CATCH_UP_MS = 15_000;

/** What fills etcd up: written by nobody but the run. */
const BALLAST = 'ballast/';
const BALLAST_BYTES = 1_024 * 1_024;
const QUOTA_BYTES = 64 * 1_024 * 1_024;
const FILL_WITHIN_MS = 20_000;
const RELIEF_WITHIN_MS = 20_000;
const ALARM_WITHIN_MS = 2_000;
const POLL_MS = 50;

/**
 * What may shorten a lease that its owner believes in, by the documents: an operator; a leader of etcd that is cut off and answers renewals
 * until it notices; one that was stopped, when it goes on. `at`: when it began.
 */
export interface Disturbance {
  readonly why: 'a revoked lease' | 'a deposed leader' | 'a woken leader';
  /** Absent: any. */
  readonly lease?: bigint;
  readonly at: number;
  /** By when it had begun, where that is known no better. Absent: at `at`. */
  readonly until?: number;
}

export interface SiteOptions {
  readonly version: EtcdVersion;
  /** etcd asks who is there, and its tokens expire. */
  readonly auth: boolean;
}

/** A snapshot of etcd; `at`: when it was begun. */
export interface Backup {
  readonly file: string;
  readonly revision: bigint;
  readonly at: number;
}

/** The real etcd of a run: three members, and the run's own way to it. */
export class Site implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  /** What clients need to be let in. */
  readonly auth: typeof CLIENT | undefined;
  /** Whether processes may be traced here, by which disks get slow. */
  readonly canSlowDisks: boolean;
  readonly disturbances: Disturbance[] = [];
  readonly #keyspace = new Keyspace(NAMESPACE);
  readonly #elections: Elections;
  readonly #authentications = new Map<number, number>();
  #store: Store;
  #log: StoreLog;
  #slowDisk: SlowDisk | undefined;

  private constructor(
    cluster: EtcdCluster,
    { auth, canSlowDisks, store, log }: { auth: boolean; canSlowDisks: boolean; store: Store; log: StoreLog },
  ) {
    this.cluster = cluster;
    this.auth = auth ? CLIENT : undefined;
    this.canSlowDisks = canSlowDisks;
    this.#store = store;
    this.#log = log;
    this.#elections = new Elections(cluster, (at, until) =>
      this.disturbances.push({ why: 'a deposed leader', at, until }),
    );
  }

  static async start({ version, auth }: SiteOptions): Promise<Site> {
    const cluster = await EtcdCluster.start({
      version,
      partitionable: true,
      extraArgs: [
        ...['--quota-backend-bytes', String(QUOTA_BYTES)],
        /* It wants five seconds of calm before a member may be replaced, which there never are. */
        '--strict-reconfig-check=false',
        ...(auth ? tokenFlags() : []),
      ],
    });
    try {
      if (auth) await lockUp(cluster, PREFIX);
      const store = connect(cluster, auth);
      const log = await StoreLog.start(store, PREFIX);
      const canSlowDisks = await SlowDisk.of((await cluster.leader()).pid, 1).then(
        async (disk) => {
          await disk[Symbol.asyncDispose]();
          return true;
        },
        () => false,
      );
      return new Site(cluster, { auth, canSlowDisks, store, log });
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Goes straight to etcd. */
  get store(): Store {
    return this.#store;
  }

  get log(): StoreLog {
    return this.#log;
  }

  /** The member that leads. */
  leader(): Promise<EtcdServer> {
    return this.cluster.leader({ withinMs: LEADER_WITHIN_MS });
  }

  async untilHealthy(): Promise<void> {
    await Promise.all(this.cluster.members.map((member) => member.untilHealthy()));
  }

  note(disturbance: Omit<Disturbance, 'at'>): void {
    this.disturbances.push({ ...disturbance, at: machineMs() });
  }

  /** Takes away all history that the log has. Resolves to whether there was any. */
  async compact(): Promise<boolean> {
    const { revision } = this.log;
    const member = await this.leader();
    const text = await member.etcdctl(['compact', String(revision)]).catch((error: unknown) => String(error));
    return text.includes('compacted revision');
  }

  /** Writes until there is no space. Resolves to whether etcd raised the alarm. */
  async fill(): Promise<boolean> {
    await this.log.catchUp(CATCH_UP_MS);
    const value = 'x'.repeat(BALLAST_BYTES);
    const deadline = machineMs() + FILL_WITHIN_MS;
    for (let count = 1; machineMs() < deadline; count += 1) {
      const put = { type: 'put', key: `${BALLAST}${count}`, value } as const;
      const reason = await this.store.transact({ compare: [], then: [put] }, CALL).then(
        () => undefined,
        (error: unknown) => (error as { readonly reason?: string }).reason,
      );
      if (reason === 'quota') return await this.#isFull();
    }
    return false;
  }

  /** What an operator does then: delete, compact, defragment every member, and take back the alarm. */
  async makeSpace(): Promise<void> {
    await this.log.catchUpDeleting(BALLAST, CATCH_UP_MS);
    const { members } = this.cluster;
    const member = await this.leader();
    await member.insist(['compact', '--physical', String(this.log.revision)], { done: /has been compacted/ });
    for (const each of members) await each.insist(['defrag']);
    await member.insist(['alarm', 'disarm']);
    await this.untilHealthy();
  }

  /**
   * A member that joins applies again whatever once filled etcd up, and can raise the alarm for all of it: an operator then defragments the
   * member, as soon as it has compacted what it holds, and takes back the alarm.
   */
  async relieve(member: EtcdServer): Promise<void> {
    const isFilled = async (): Promise<boolean> => {
      const bytes = (await member.metrics()).get('etcd_mvcc_db_total_size_in_bytes') ?? 0;
      return bytes > QUOTA_BYTES - 2 * BALLAST_BYTES;
    };
    if (!(await isFilled())) return;
    const startedMs = machineMs();
    while (!(await this.#isFull()) && machineMs() < startedMs + ALARM_WITHIN_MS) await sleep(POLL_MS);
    while ((await isFilled()) && machineMs() < startedMs + RELIEF_WITHIN_MS) {
      await member.insist(['defrag']);
      await sleep(POLL_MS);
    }
    await member.insist(['alarm', 'disarm']);
    await this.untilHealthy();
  }

  async #isFull(): Promise<boolean> {
    return (await (await this.leader()).insist(['alarm', 'list'])).includes('NOSPACE');
  }

  /** From now on the member waits before each write to its disk. */
  async slowDown({ pid }: EtcdServer, delayMs: number): Promise<void> {
    this.#slowDisk = await SlowDisk.of(pid, delayMs);
  }

  /** Ends that. Resolves to how many writes had to wait. */
  async speedUp(): Promise<number> {
    const disk = this.#slowDisk;
    this.#slowDisk = undefined;
    await disk?.[Symbol.asyncDispose]();
    return disk?.delayed ?? 0;
  }

  async backUp(): Promise<Backup> {
    const at = machineMs();
    const file = await backUp(await this.leader());
    return { file, revision: await revisionOf(await this.leader(), file), at };
  }

  /** As docs/restore.md says, with no client running. Resolves to whether the revision went back by it. */
  async restore({ file, revision }: Backup, epoch: number): Promise<boolean> {
    const { events } = this.log;
    const before = await newestRevision(this.store);
    await this.log[Symbol.asyncDispose]();
    await this.store.close();
    await restore(this.cluster.members, file);
    this.#store = connect(this.cluster, this.auth !== undefined);
    this.#log = StoreLog.resume(this.#store, PREFIX, events, revision);
    await (await this.leader()).insist(['put', this.#keyspace.epoch, String(epoch)]);
    return (await newestRevision(this.store)) < before;
  }

  /** The session that a client has now, as etcd knows it. */
  async leaseOf({ name }: ClientProcess): Promise<bigint | undefined> {
    const { entries } = await this.store.range({ prefix: this.#keyspace.sessions }, CALL);
    const newest = entries.toSorted((a, b) => Number(b.createRevision - a.createRevision));
    return newest.find(({ value }) => value.includes(`"${name}.`))?.lease;
  }

  /** How often clients had to say who they are so far, by every member's count, of which a restart makes another one; and by a few, the run. */
  async authentications(): Promise<number> {
    for (const member of this.cluster.members) {
      /* A member that has no time to answer is asked again after the next round. */
      const rpcs = await member.startedRpcs().catch(() => undefined);
      const count = rpcs?.get('Authenticate');
      if (count !== undefined) this.#authentications.set(member.pid, count);
    }
    const all = [...this.#authentications.values()].reduce((sum, count) => sum + count, 0);
    return Math.max(0, all - this.cluster.authentications);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.speedUp();
    await this.#elections[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
    await this.store.close();
    await this.cluster[Symbol.asyncDispose]();
  }
}

function connect({ endpoints }: EtcdCluster, auth: boolean): Store {
  return createEtcdStore(systemRuntime(), { endpoints, auth: auth ? ROOT : undefined });
}
