import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { longestWaitMs, waitsOf } from '../servers/starvation.ts';
import { clientFaults, type ClientFault } from './client-faults.ts';
import type { ClientProcess } from './client-process.ts';
import { etcdFaults, type EtcdFault } from './etcd-faults.ts';
import { partsOf, workloads, type Workload } from './history.ts';
import type { Site } from './site.ts';

/** A fault that was brought about; `at` and `until` by the machine's clock. */
export interface Hit {
  readonly fault: string;
  /** Absent: etcd. */
  readonly client?: string;
  readonly at: number;
  readonly until: number;
  /** Else it found nothing to hit, and does not count. */
  readonly hit: boolean;
}

/** Some faults beside each other, and the quiet after them. */
export interface Round {
  readonly hits: readonly Hit[];
  readonly healedAt: number;
  /** How long after it each workload first got on; absent: not in time. */
  readonly recovered: Readonly<Partial<Record<Workload, number>>>;
}

export interface NemesisOptions {
  /** Within that, after a round, every workload gets on. */
  readonly patienceMs: number;
  /** So many clients it never kills: who lives long shows whether it grows. */
  readonly spares: number;
}

/** So many rounds hit etcd as well. */
const ETCD_SHARE = 0.7;
const FEWEST_CLIENTS_HIT = 2;
const MOST_CLIENTS_HIT = 3;
const SPREAD_MS = 400;
const QUIET_MS = 400;
const POLL_MS = 20;
/** On a machine on which they wait for longer, in patiences, nothing can be shown. */
const LONGEST_WAIT = 3;
/** A client that does not get the lock for so long is hit without it. */
const HOLD_WITHIN_MS = 1_000;
const WRITES_WITHIN_MS = 4_000;
/** A hit client is the one that last had what the workload is about, in this share of the cases. */
const PERTINENT_SHARE = 0.6;

/** Hits clients and etcd, in an order that a seed decides, and waits after each round until every workload gets on. */
export class Nemesis {
  readonly rounds: Round[] = [];
  /** What it hits with, again and again. */
  readonly faults: readonly string[];
  /** What it cannot bring about on this machine. */
  readonly leftOut: readonly string[];
  readonly #random: SeededRandom;
  readonly #site: Site;
  readonly #clients: readonly ClientProcess[];
  readonly #patienceMs: number;
  readonly #spared: readonly ClientProcess[];
  readonly #clientDeck: Deck<ClientFault>;
  readonly #etcdDeck: Deck<EtcdFault>;

  constructor(
    random: SeededRandom,
    site: Site,
    clients: readonly ClientProcess[],
    { patienceMs, spares }: NemesisOptions,
  ) {
    this.#random = random;
    this.#site = site;
    this.#clients = clients;
    this.#patienceMs = patienceMs;
    this.#spared = clients.slice(0, spares);
    this.#clientDeck = new Deck(random, clientFaults);
    const ofEtcd = etcdFaults.filter(({ needsTracing }) => needsTracing !== true || site.canSlowDisks);
    this.leftOut = etcdFaults.filter((fault) => !ofEtcd.includes(fault)).map(({ name }) => name);
    this.#etcdDeck = new Deck(random, ofEtcd);
    this.faults = [...clientFaults, ...ofEtcd].map(({ name }) => name);
  }

  get hits(): readonly Hit[] {
    return this.rounds.flatMap(({ hits }) => hits).filter(({ hit }) => hit);
  }

  /** Faults of clients beside each other, and beside one of etcd: the given one, or one in {@link ETCD_SHARE} of the rounds. */
  async round(given?: EtcdFault): Promise<Round> {
    const random = this.#random;
    const onEtcd = given ?? (random.chance(ETCD_SHARE) ? this.#etcdDeck.draw() : undefined);
    const drawn: ClientFault[] = [];
    for (let count = random.integer(FEWEST_CLIENTS_HIT, MOST_CLIENTS_HIT); count > 0; count -= 1) {
      drawn.push(this.#clientDeck.draw((each) => onEtcd === undefined || each.needsEtcd !== true));
    }
    /* Only one of them can meet whoever writes under the lock: it goes first. */
    drawn.sort((a, b) => Number(b.aimsAtWriter ?? false) - Number(a.aimsAtWriter ?? false));
    const hitting: Promise<Hit>[] = [];
    const free = [...this.#clients];
    for (const [index, fault] of drawn.entries()) {
      const isAimed = index === 0 && fault.aimsAtWriter === true;
      const writer = isAimed ? await this.#nextWriter() : undefined;
      const client = writer ?? this.#target(free.filter((each) => !fault.kills || !this.#spared.includes(each)));
      free.splice(free.indexOf(client), 1);
      hitting.push(this.#hitClient(fault, client, isAimed));
    }
    if (onEtcd !== undefined) hitting.push(this.#hitEtcd(onEtcd));
    return await this.#after(hitting);
  }

  /** One fault and nothing beside it. */
  async alone(fault: EtcdFault): Promise<Round> {
    return await this.#after([this.#hitEtcd(fault)]);
  }

  async #after(hitting: readonly Promise<Hit>[]): Promise<Round> {
    const hits = await Promise.all(hitting);
    const healedAt = machineMs();
    const round = { hits, healedAt, recovered: await this.#recovery(healedAt) };
    this.rounds.push(round);
    await sleep(QUIET_MS);
    return round;
  }

  #target(free: readonly ClientProcess[]): ClientProcess {
    const random = this.#random;
    const workload = random.pick(workloads);
    const newest = free.toSorted((a, b) => b.progressedAt(workload) - a.progressedAt(workload))[0];
    const any = random.pick(free);
    return random.chance(PERTINENT_SHARE) ? (newest ?? any) : any;
  }

  async #hitClient(fault: ClientFault, client: ClientProcess, isAimed: boolean): Promise<Hit> {
    const { name, begin, end, lastsMs } = fault;
    const [offsetMs, lastMs] = this.#times(lastsMs);
    if (!isAimed) {
      await sleep(offsetMs);
      if (this.#random.chance(PERTINENT_SHARE)) await this.#untilItHoldsTheLock(client);
    }
    const at = machineMs();
    const hit = await begin(client, this.#site).catch(() => false);
    await sleep(lastMs);
    end?.(client);
    if (!hit) this.#clientDeck.putBack(fault);
    return { fault: name, client: client.name, at, until: machineMs(), hit };
  }

  async #hitEtcd(fault: EtcdFault): Promise<Hit> {
    const { name, begin, end, lastsMs } = fault;
    const [offsetMs, lastMs] = this.#times(lastsMs);
    await sleep(offsetMs);
    const at = machineMs();
    /* What has an end is healed by it, also of half a beginning. Else, and where healing fails, etcd is in no state to show anything. */
    const hasBegun = await begin(this.#site).catch((error: unknown) => {
      if (end === undefined) throw error;
      return false;
    });
    await sleep(lastMs);
    const isRefuted = (await end?.(this.#site)) === false;
    const hit = hasBegun && !isRefuted;
    if (!hit && this.faults.includes(name)) this.#etcdDeck.putBack(fault);
    return { fault: name, at, until: machineMs(), hit };
  }

  /** Then it is about to read, and to write. */
  async #untilItHoldsTheLock(client: ClientProcess): Promise<void> {
    const since = machineMs();
    while (client.progressedAt('lock') < since && machineMs() < since + HOLD_WITHIN_MS) await sleep(1);
  }

  /** Who next has read under the lock, and is to write; nobody, if that takes too long. */
  async #nextWriter(): Promise<ClientProcess | undefined> {
    const since = machineMs();
    for (;;) {
      const writer = this.#clients.find((client) => client.announcedAt > since);
      if (writer !== undefined || machineMs() > since + WRITES_WITHIN_MS) return writer;
      await sleep(1);
    }
  }

  #times([least, most]: readonly [number, number]): [number, number] {
    return [this.#random.integer(0, SPREAD_MS), this.#random.integer(least, most)];
  }

  /** Time in which one of the processes waited for a processor does not count: what it has to do, it could not do. */
  async #recovery(healedAt: number): Promise<Round['recovered']> {
    const recovered: Partial<Record<Workload, number>> = {};
    const pids = [process, ...this.#clients, ...this.#site.cluster.members].map(({ pid }) => pid);
    const before = waitsOf(pids);
    let deadline = healedAt + this.#patienceMs;
    for (;;) {
      const now = machineMs();
      for (const workload of workloads) {
        if (recovered[workload] !== undefined) continue;
        const latest = partsOf(workload).map((part) =>
          Math.max(...this.#clients.map((each) => each.progressedAt(part))),
        );
        if (latest.every((at) => at > healedAt)) recovered[workload] = Math.max(...latest) - healedAt;
      }
      if (workloads.every((workload) => recovered[workload] !== undefined)) break;
      if (now > deadline) {
        const waitedMs = longestWaitMs(before, waitsOf(pids));
        deadline = healedAt + this.#patienceMs + Math.min(waitedMs, LONGEST_WAIT * this.#patienceMs);
        if (now > deadline) break;
      }
      await sleep(POLL_MS);
    }
    return recovered;
  }
}

/** Gives every card once before it gives one again. */
class Deck<T> {
  readonly #random: SeededRandom;
  readonly #cards: readonly T[];
  #left: T[] = [];

  constructor(random: SeededRandom, cards: readonly T[]) {
    this.#random = random;
    this.#cards = cards;
  }

  draw(fits: (card: T) => boolean = () => true): T {
    if (!this.#left.some(fits)) this.#left = [...this.#left, ...this.#cards];
    const card = this.#random.pick(this.#left.filter(fits));
    this.#left.splice(this.#left.indexOf(card), 1);
    return card;
  }

  /** It did nothing: it comes again before any other does twice. */
  putBack(card: T): void {
    this.#left.push(card);
  }
}
