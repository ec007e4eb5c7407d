import { setImmediate as turn } from 'node:timers/promises';
import { systemRuntime } from '../../lib/runtime/runtime.ts';
import { createEtcdStore } from '../../lib/store/etcd/etcd-store.ts';
import type { Operation, Store } from '../../lib/store/store.ts';
import { FaultProxy } from '../../lib/testing/fault-proxy.ts';
import { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { until } from '../lock/support/until.ts';
import type { EtcdVersion } from '../provision/etcd.ts';
import { accessTo } from '../servers/access.ts';
import { backUp, restore } from '../servers/backup.ts';
import { EtcdServer } from '../servers/etcd-server.ts';
import { brief, checkTold, History, stateOf } from './history.ts';
import { Reader } from './reader.ts';

export interface CutsReport {
  readonly seed: number;
  readonly events: number;
  readonly faults: number;
  readonly failedWrites: number;
  /** For each cache, how often it listed again. */
  readonly resyncs: readonly number[];
  /** For each cache, how many gaps its reader was told of: one for resyncs with no event between them. */
  readonly gaps: readonly number[];
  readonly tookMs: number;
}

const root = 'test/cache/r/';
const patient = { timeoutMs: 10_000 };

/** How many writes are under way at once. */
const GROUP = 50;

/**
 * Writes to a real server while two clients behind faulty connections follow it, and holds what they were told against what the server
 * says happened. Rejects with an Error that names the seed, if an event was missed, repeated or out of order.
 */
export async function followAcrossCuts(
  version: EtcdVersion,
  seed: number,
  writes: number,
  note: (line: string) => void,
): Promise<CutsReport> {
  const startedAt = performance.now();
  note(`etcd ${version}, seed ${seed}, ${writes} writes`);
  await using server = await EtcdServer.start({ version, extraArgs: ['--max-request-bytes', '16777216'] });
  const store = createEtcdStore(systemRuntime(), { endpoints: [server.endpoint], ...accessTo() });
  try {
    const run = new Run(server, store, new SeededRandom(seed));
    const report = await run.all(writes);
    return { seed, ...report, tookMs: Math.round(performance.now() - startedAt) };
  } catch (error) {
    throw new Error(`etcd ${version}, seed ${seed}: ${String(error)}`, { cause: error });
  } finally {
    await store.close();
  }
}

class Run {
  readonly #server: EtcdServer;
  readonly #store: Store;
  readonly #random: SeededRandom;
  #history = new History(1n, (full) => full.slice(root.length));
  #readers: readonly Reader[] = [];
  /** For each reader: after how many further writes its connection changes. */
  #untilChange: number[] = [];
  #faulty: boolean[] = [];
  #written = 0;
  #faults = 0;
  #failed = 0;
  #last = 0n;

  constructor(server: EtcdServer, store: Store, random: SeededRandom) {
    this.#server = server;
    this.#store = store;
    this.#random = random;
  }

  async all(writes: number): Promise<Omit<CutsReport, 'seed' | 'tookMs'>> {
    const { revision } = await this.#store.range({ key: 'test/nothing' }, patient);
    this.#history = new History(revision + 1n, (full) => full.slice(root.length));
    await using one = new Reader(await FaultProxy.start(this.#server.endpoint));
    await using two = new Reader(await FaultProxy.start(this.#server.endpoint));
    this.#readers = [one, two];
    this.#untilChange = [10, 20];
    this.#faulty = [false, false];
    await Promise.all(this.#readers.map((reader) => reader.reached(revision)));

    const specials: readonly (() => Promise<void>)[] = [
      () => this.#writeMegabytes(),
      () => this.#compactDuringCut(),
      () => this.#restartWhileWriting(),
      () => this.#restoreToLower(),
      () => this.#restoreOvertaken(),
    ];
    const share = writes / (specials.length + 1);
    for (const special of [...specials, () => Promise.resolve()]) {
      await this.#write(share);
      await this.#calm();
      await special();
      await this.#calm();
    }
    return await this.#check();
  }

  /** So many writes, with the readers' connections changing at random points between and within them. */
  async #write(count: number, prefix = root): Promise<void> {
    for (let done = 0; done < count; done += GROUP) {
      const group = Array.from({ length: Math.min(GROUP, count - done) }, () => this.#writeOne(prefix));
      await Promise.all(group);
    }
  }

  async #writeOne(prefix: string): Promise<void> {
    const random = this.#random;
    const operation = (): Operation => {
      const key = `${prefix}k${random.integer(0, 39)}`;
      this.#written += 1;
      return random.chance(0.15) ? { type: 'delete', key } : { type: 'put', key, value: `${this.#written}` };
    };
    const operations = random.chance(0.2) ? Array.from({ length: random.integer(2, 4) }, operation) : [operation()];
    /* etcd refuses a transaction that puts a key twice. */
    const then = [...new Map(operations.map((each) => ['key' in each ? each.key : '', each])).values()];
    await this.#transact(then);
    this.#changeConnections();
  }

  async #transact(then: readonly Operation[]): Promise<void> {
    try {
      const { revision } = await this.#store.transact({ compare: [], then }, patient);
      if (revision > this.#last) this.#last = revision;
    } catch {
      /* Whether it was applied, history tells. */
      this.#failed += 1;
    }
  }

  #changeConnections(): void {
    for (const [index, reader] of this.#readers.entries()) {
      const left = (this.#untilChange[index] ?? 0) - 1;
      this.#untilChange[index] = left;
      if (left > 0) continue;
      this.#untilChange[index] = this.#random.integer(1, 150);
      const wasFaulty = this.#faulty[index] === true;
      this.#faulty[index] = !wasFaulty;
      if (wasFaulty) {
        /* Silence that ends in a cut loses what was under way; one that heals delivers it late. */
        if (this.#random.chance(0.5)) reader.proxy.cut();
        reader.proxy.heal();
      } else {
        reader.proxy[this.#random.pick(['cut', 'cut', 'blackhole', 'dropResponses', 'dropRequests'] as const)]();
        this.#faults += 1;
      }
    }
  }

  /** Heals every connection, and waits until all readers know what was written. */
  async #calm(): Promise<void> {
    for (const { proxy } of this.#readers) proxy.heal();
    this.#faulty = this.#faulty.map(() => false);
    await this.#mark();
    await Promise.all(this.#readers.map((reader) => reader.reached(this.#last)));
  }

  /** Writes to the span, so that history has an event to read up to. */
  async #mark(): Promise<void> {
    this.#written += 1;
    const put: Operation = { type: 'put', key: `${root}mark`, value: `${this.#written}` };
    const { revision } = await this.#store.transact({ compare: [], then: [put] }, patient);
    this.#last = revision;
  }

  async #record(): Promise<void> {
    await this.#mark();
    await this.#history.record(this.#store, { prefix: root }, this.#last);
  }

  /** Eight values of a megabyte in one transaction, with the connections cut while they are on their way. */
  async #writeMegabytes(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      const then = Array.from({ length: 8 }, (_, index): Operation => {
        this.#written += 1;
        return { type: 'put', key: `${root}mb${index}`, value: `${this.#written}${'m'.repeat(1024 * 1024)}` };
      });
      await this.#transact(then);
      for (const { proxy } of this.#readers) {
        for (let turns = this.#random.integer(0, 20); turns > 0; turns -= 1) await turn();
        proxy.cut();
        proxy.heal();
        this.#faults += 1;
      }
      await this.#write(GROUP);
    }
    await this.#transact(
      Array.from({ length: 8 }, (_, index): Operation => ({ type: 'delete', key: `${root}mb${index}` })),
    );
  }

  async #compactDuringCut(): Promise<void> {
    for (const { proxy } of this.#readers) proxy.cut();
    this.#faulty = this.#faulty.map(() => true);
    this.#untilChange = this.#untilChange.map(() => 1_000);
    await this.#write(4 * GROUP);
    await this.#record();
    await this.#server.etcdctl(['compact', String(this.#last)]);
    await this.#write(GROUP);
  }

  /** Killed with writes under way, and started again with the same data. */
  async #restartWhileWriting(): Promise<void> {
    const before = this.#last;
    const writing = this.#write(4 * GROUP);
    while (this.#last === before) await turn();
    const restarting = this.#server.restart({ signal: 'SIGKILL' });
    await writing;
    await restarting;
    await this.#write(GROUP);
  }

  /** Noticed by everybody before anything else is: two restores would be told as one. */
  async #restoreToLower(): Promise<void> {
    const caches = this.#readers.flatMap((reader) => reader.caches);
    const before = caches.map((cache) => cache.stats().resyncs);
    await this.#restoreAfter(4 * GROUP);
    await until('all to have noticed', () =>
      caches.every((cache, index) => cache.stats().resyncs > (before[index] ?? 0)),
    );
  }

  /** When the readers come back, the revision is higher than any that they have seen. */
  async #restoreOvertaken(): Promise<void> {
    const before = await this.#restoreAfter(2 * GROUP, () => {
      for (const { proxy } of this.#readers) proxy.cut();
      this.#faulty = this.#faulty.map(() => true);
      this.#untilChange = this.#untilChange.map(() => Number.MAX_SAFE_INTEGER);
    });
    while (this.#last <= before) await this.#write(GROUP);
    this.#untilChange = this.#untilChange.map(() => 10);
  }

  /** Restores a snapshot that is so many writes old, and resolves to the revision before. */
  async #restoreAfter(writes: number, beforeRestore = (): void => undefined): Promise<bigint> {
    await this.#mark();
    const at = this.#last;
    const file = await backUp(this.#server);
    await this.#write(writes);
    await this.#calm();
    await this.#record();
    const before = this.#last;
    beforeRestore();
    await restore([this.#server], file);
    /* Where etcd asks for a user: with a token from before, one call waits until it is given up. See docs/restore.md. */
    await this.#store.range({ key: root }, { timeoutMs: 1_000 }).catch(() => {});
    this.#history.fork(at);
    this.#last = at;
    return before;
  }

  async #check(): Promise<Omit<CutsReport, 'seed' | 'tookMs'>> {
    await this.#record();
    await Promise.all(this.#readers.map((reader) => reader.reached(this.#last)));
    const { timelines } = this.#history;
    const last = stateOf(timelines.at(-1) ?? []);
    const resyncs: number[] = [];
    const gaps: number[] = [];
    for (const { told, caches, backwards } of this.#readers) {
      if (backwards.length > 0) throw new Error(`What was served went back: ${backwards.join(', ')}`);
      for (const [index, cache] of caches.entries()) {
        resyncs.push(cache.stats().resyncs);
        gaps.push(checkTold(told[index] ?? [], timelines));
        for (const [key, value] of last) {
          if (brief(cache.get(key)?.value ?? '') !== value) throw new Error(`${key} is not ${value}`);
        }
        if (cache.stats().entries !== last.size) throw new Error('There are entries that the store does not have');
      }
    }
    const events = new Set(timelines.flat()).size;
    return { events, faults: this.#faults, failedWrites: this.#failed, resyncs, gaps };
  }
}
