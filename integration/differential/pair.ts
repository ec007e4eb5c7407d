import { constants } from 'node:fs';
import { access, mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedEtcd, type EmbeddedEtcd } from '../../lib/testing/index.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { removeAtExit } from '../servers/server-process.ts';
import { difference, show } from './difference.ts';
import { WireClient, type Answer, type WatchMessages, type WireRequest } from './wire-client.ts';

/** What an etcd writes in a run of this test: logs of 64 MiB that it makes in advance, and the database. */
const ROOM_BYTES = 1024 ** 3;

/** The two did not say the same. */
export class DivergenceError extends Error {
  override readonly name = 'DivergenceError';
}

/** A real etcd and the embedded one, which are sent the same messages and have to answer with the same. */
export class Pair implements AsyncDisposable {
  readonly version: EtcdVersion;
  readonly #real: EtcdServer;
  readonly #embedded: EmbeddedEtcd;
  readonly #clients: readonly [WireClient, WireClient];
  readonly #dataDir: string;

  private constructor(
    version: EtcdVersion,
    servers: readonly [EtcdServer, EmbeddedEtcd],
    clients: readonly [WireClient, WireClient],
    dataDir: string,
  ) {
    this.version = version;
    [this.#real, this.#embedded] = servers;
    this.#clients = clients;
    this.#dataDir = dataDir;
  }

  static async start(version: EtcdVersion): Promise<Pair> {
    const dataDir = await mkdtemp(path.join(await memoryFolder(), 'holdfast-differential-'));
    removeAtExit(dataDir);
    // Nothing is to survive here, so nothing has to wait for a disk. 3.4 does not know the flag.
    const extraArgs = version === '3.4' ? [] : ['--unsafe-no-fsync'];
    const real = await EtcdServer.start({ version, dataDir, extraArgs, access: 'plain' });
    const embedded = await startEmbeddedEtcd({ version: real.binaries.version });
    const clients = [await WireClient.connect(real.endpoint), await WireClient.connect(embedded.endpoint)] as const;
    return new Pair(version, [real, embedded], clients, dataDir);
  }

  get revision(): number {
    return Number(this.#embedded.revision);
  }

  get leases(): number {
    return this.#embedded.leases.length;
  }

  /** Asks both at once. Rejects with a {@link DivergenceError}, or resolves to what both said. */
  async call(request: WireRequest): Promise<Answer> {
    const [theirs, ours] = await this.callEach(request);
    const found = difference(request.method, theirs, ours);
    if (found !== undefined) throw new DivergenceError(`${request.method} ${show(request.request)}\n  ${found}`);
    return ours;
  }

  /** Asks both at once. Resolves to the real etcd's answer, and the embedded one's. */
  async callEach(request: WireRequest): Promise<readonly [theirs: Answer, ours: Answer]> {
    const [real, embedded] = this.#clients;
    return await Promise.all([real.call(request), embedded.call(request)]);
  }

  openWatches(): WatchPair {
    return new WatchPair(this.#clients[0].openWatches(), this.#clients[1].openWatches());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    await this.#embedded.stop();
    await this.#real[Symbol.asyncDispose]();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

const POLL_MS = 5;
const AGREE_WITHIN_MS = 15_000;
/** How often a look has to find nothing new. Looks are counted, not milliseconds, so that a busy process does not mistake itself for silence. */
const FEW_LOOKS = 5;
/** Etcd looks ten times a second for watches that are behind. */
export const MANY_LOOKS = 60;

/** A stream of watches at each of the two. */
export class WatchPair implements Disposable {
  readonly theirs: WatchMessages;
  readonly ours: WatchMessages;
  /** How many messages of a watch were compared. */
  readonly #compared = new Map<string, number>();
  #events = 0;

  constructor(theirs: WatchMessages, ours: WatchMessages) {
    this.theirs = theirs;
    this.ours = ours;
  }

  /** How many events were compared. */
  get events(): number {
    return this.#events;
  }

  send(request: object): void {
    this.theirs.send(request);
    this.ours.send(request);
  }

  /**
   * Waits until both have said as much, and nothing more for a while, then compares what was said since the last time: message by message
   * of each watch. What comes later is seen the next time, so the last look at a stream has to be a long one.
   */
  async agree(quietLooks: number = FEW_LOOKS): Promise<void> {
    await this.settle(quietLooks);
    for (const id of new Set([...this.theirs.messages.keys(), ...this.ours.messages.keys()])) {
      const from = this.#compared.get(id) ?? 0;
      const theirs = this.theirs.messages.get(id)?.slice(from) ?? [];
      const ours = this.ours.messages.get(id)?.slice(from) ?? [];
      for (let index = 0; index < Math.max(theirs.length, ours.length); index += 1) {
        const found = difference('watch', theirs[index], ours[index]);
        if (found !== undefined) throw new DivergenceError(`message ${from + index + 1} of watch ${id}\n  ${found}`);
      }
      this.#compared.set(id, from + ours.length);
      for (const { events } of ours) this.#events += (events as readonly unknown[]).length;
    }
  }

  /** Waits until a watch was told of a revision by both. */
  async reach(watchId: string, revision: number): Promise<void> {
    const deadline = performance.now() + AGREE_WITHIN_MS;
    const isTold = ({ messages }: WatchMessages): boolean => {
      const header = messages.get(watchId)?.at(-1)?.['header'] as { readonly revision: string } | undefined;
      return Number(header?.revision) >= revision;
    };
    while (!(isTold(this.theirs) && isTold(this.ours)) && performance.now() < deadline) await sleep(POLL_MS);
  }

  /** Waits as {@link agree} does. If they never say as much, the comparison tells what is missing. */
  async settle(quietLooks: number): Promise<void> {
    const deadline = performance.now() + AGREE_WITHIN_MS;
    let last = -1;
    let quiet = 0;
    while (quiet < quietLooks && performance.now() < deadline) {
      await sleep(POLL_MS);
      const count = this.theirs.count + this.ours.count;
      quiet = count === last && this.#isEven ? quiet + 1 : 0;
      last = count;
    }
  }

  /** Whether each watch was told as much by the one as by the other. Large messages take their time, and each watch its own. */
  get #isEven(): boolean {
    if (this.theirs.count !== this.ours.count) return false;
    return [...this.ours.messages].every(([id, { length }]) => this.theirs.messages.get(id)?.length === length);
  }

  [Symbol.dispose](): void {
    this.theirs[Symbol.dispose]();
    this.ours[Symbol.dispose]();
  }
}

/** A file system in memory, where there is one with room; otherwise the system's folder for what is temporary. */
async function memoryFolder(): Promise<string> {
  const folder = '/dev/shm';
  try {
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize > ROOM_BYTES) return folder;
  } catch {
    // There is none.
  }
  return os.tmpdir();
}
