import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '../../lib/testing/seeded-random.ts';
import { machineMs } from '../election/machine-clock.ts';
import { clientFaults, type ClientFault } from './client-faults.ts';
import type { ClientProcess } from './client-process.ts';
import { etcdFaults, type EtcdFault } from './etcd-faults.ts';
import { workloads, type Workload } from './history.ts';
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

/** One in so many rounds hits etcd as well. */
const ETCD_SHARE = 0.6;
const FEWEST_CLIENTS_HIT = 2;
const MOST_CLIENTS_HIT = 3;
const SPREAD_MS = 400;
const QUIET_MS = 400;
const POLL_MS = 20;
/** A client that does not get the lock for so long is hit without it. */
const HOLD_WITHIN_MS = 1_000;
/** A hit client is the one that last had what the workload is about, in this share of the cases. */
const PERTINENT_SHARE = 0.6;

/** Hits clients and etcd, in an order that a seed decides, and waits after each round until every workload gets on. */
export class Nemesis {
  readonly rounds: Round[] = [];
  readonly #random: SeededRandom;
  readonly #site: Site;
  readonly #clients: readonly ClientProcess[];
  readonly #patienceMs: number;
  readonly #clientDeck: Deck<ClientFault>;
  readonly #etcdDeck: Deck<EtcdFault>;

  constructor(random: SeededRandom, site: Site, clients: readonly ClientProcess[], patienceMs: number) {
    this.#random = random;
    this.#site = site;
    this.#clients = clients;
    this.#patienceMs = patienceMs;
    this.#clientDeck = new Deck(random, clientFaults);
    this.#etcdDeck = new Deck(random, etcdFaults);
  }

  get hits(): readonly Hit[] {
    return this.rounds.flatMap(({ hits }) => hits).filter(({ hit }) => hit);
  }

  async round(): Promise<Round> {
    const random = this.#random;
    const onEtcd = random.chance(ETCD_SHARE) ? this.#etcdDeck.draw() : undefined;
    const onClients: [ClientFault, ClientProcess][] = [];
    for (let count = random.integer(FEWEST_CLIENTS_HIT, MOST_CLIENTS_HIT); count > 0; count -= 1) {
      const fault = this.#clientDeck.draw((each) => onEtcd === undefined || each.needsEtcd !== true);
      const free = this.#clients.filter((client) => onClients.every(([, taken]) => taken !== client));
      onClients.push([fault, this.#target(free)]);
    }
    const hits = await Promise.all([
      ...onClients.map(([fault, client]) => this.#hitClient(fault, client)),
      ...(onEtcd === undefined ? [] : [this.#hitEtcd(onEtcd)]),
    ]);
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

  async #hitClient({ name, begin, end, lastsMs }: ClientFault, client: ClientProcess): Promise<Hit> {
    const [offsetMs, lastMs] = this.#times(lastsMs);
    await sleep(offsetMs);
    if (this.#random.chance(PERTINENT_SHARE)) await this.#untilItHoldsTheLock(client);
    const at = machineMs();
    const hit = await begin(client, this.#site).catch(() => false);
    await sleep(lastMs);
    end?.(client);
    return { fault: name, client: client.name, at, until: machineMs(), hit };
  }

  async #hitEtcd({ name, begin, end, lastsMs }: EtcdFault): Promise<Hit> {
    const [offsetMs, lastMs] = this.#times(lastsMs);
    await sleep(offsetMs);
    const at = machineMs();
    const hit = await begin(this.#site);
    await sleep(lastMs);
    await end?.(this.#site);
    return { fault: name, at, until: machineMs(), hit };
  }

  /** Then it is about to read, and to write. */
  async #untilItHoldsTheLock(client: ClientProcess): Promise<void> {
    const since = machineMs();
    while (client.progressedAt('lock') < since && machineMs() < since + HOLD_WITHIN_MS) await sleep(1);
  }

  #times([least, most]: readonly [number, number]): [number, number] {
    return [this.#random.integer(0, SPREAD_MS), this.#random.integer(least, most)];
  }

  async #recovery(healedAt: number): Promise<Round['recovered']> {
    const recovered: Partial<Record<Workload, number>> = {};
    while (machineMs() < healedAt + this.#patienceMs) {
      for (const workload of workloads) {
        if (recovered[workload] !== undefined) continue;
        const latest = Math.max(...this.#clients.map((client) => client.progressedAt(workload)));
        if (latest > healedAt) recovered[workload] = latest - healedAt;
      }
      if (workloads.every((workload) => recovered[workload] !== undefined)) break;
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
}
