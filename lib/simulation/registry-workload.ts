import { HoldfastError } from '../errors.ts';
import { membersOf, type Member } from '../registry/member.ts';
import type { Membership } from '../registry/membership.ts';
import type { Registration } from '../registry/registration.ts';
import type { Registry } from '../registry/registry.ts';
import { sleep } from '../runtime/clock.ts';
import type { KeyValue } from '../store/store.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { linger } from './raise.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

const NAME = 'r';
const PREFIX = `sim/registry/${NAME}/`;

interface Reader {
  readonly registry: Registry;
  shown: Membership | undefined;
  text: string;
  isOver: boolean;
}

/**
 * Members that register, become unready, say something new of themselves, and leave; and readers of who is there.
 *
 * G1: when `leave` resolves, nothing of it stands any more, and nothing comes back. G2: who is shown to be there was there at
 * some time, and the age is at least the staleness. G3: after the healing everybody who wants to be there is, and all
 * know it.
 */
export class RegistryWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #calls: Calls;
  readonly #readers = new Map<Machine, Reader>();
  /** Addresses that have left, and when. */
  readonly #gone = new Map<string, { readonly machine: Machine; readonly atMs: number }>();
  /** Who was there, over time: for each state, when it was last over. */
  readonly #states: { readonly text: string; untilMs: number }[] = [{ text: '', untilMs: Number.POSITIVE_INFINITY }];
  #there = new Map<string, KeyValue>();
  #position = 0;
  #restoredAtMs = Number.NEGATIVE_INFINITY;
  #registered = 0;

  constructor(world: World, _: Invariants, calls: Calls) {
    this.#world = world;
    this.#calls = calls;
  }

  start(machine: Machine, random: SeededRandom): void {
    const registry = machine.coordinator.registry(NAME, { freshnessMs: random.pick([300, 1_000, 5_000]) });
    this.#readers.set(machine, { registry, shown: undefined, text: '', isOver: false });
    for (let index = 0; index < this.#world.setup.workers; index += 1)
      void this.#work(machine, registry, random.fork());
  }

  restored(): void {
    const { cluster, nowMs } = this.#world;
    this.#position = cluster.log.length;
    this.#there = new Map(cluster.entries(PREFIX).map((entry) => [entry.key, entry]));
    this.#stand(nowMs);
    this.#restoredAtMs = nowMs;
    /* The backup brings back who was there then. */
    this.#gone.clear();
  }

  look(): void {
    const { log } = this.#world.cluster;
    const isNews = this.#position !== log.length;
    if (isNews) this.#read();
    for (const [machine, reader] of this.#readers) {
      if (!machine.isGone && !machine.host.isStopped) this.#lookAt(machine, reader);
    }
    if (isNews) this.#lookAtGone();
  }

  async probe(machine: Machine, withinMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + withinMs;
    const { registry } = this.#readers.get(machine) ?? {};
    if (registry === undefined) return;
    const sinceMs = this.#world.nowMs;
    const registration = registry.register({ address: `probe-${machine.name}` });
    await this.#calls.call(machine, 'probe', [], withinMs, () =>
      this.#calls.insist(machine, untilMs, (timeoutMs) => registration.registered({ timeoutMs })),
    );
    const knowsAll = (): boolean => {
      const shown = shownBy(registry);
      const there = membersOf(this.#world.cluster.entries(PREFIX));
      return shown !== undefined && addressesIn(shown.members) === addressesIn(there);
    };
    while (!knowsAll() && this.#world.nowMs < untilMs) await sleep(this.#world.clock, 50);
    if (!knowsAll()) this.#world.history.violate('G3 everybody knows who is there', machine.name);
    await sleep(this.#world.clock, 100);
    await this.#leave(machine, registration, `probe-${machine.name}`, sinceMs);
  }

  async #work(machine: Machine, registry: Registry, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, this.#world.setup.pauseMs));
      if (this.#world.healedAtMs !== undefined || machine.state !== 'up') return;
      this.#registered += 1;
      const address = `${machine.name}-${this.#registered}`;
      let isReady = random.chance(0.7);
      const check = (): boolean => isReady;
      const sinceMs = this.#world.nowMs;
      const registration = registry.register({
        address,
        checkEveryMs: 300,
        unreadyAfter: random.integer(1, 2),
        ...(random.chance(0.5) ? { check } : {}),
      });
      this.#count('registrations');
      for (let steps = random.integer(0, 4); steps > 0; steps -= 1) {
        await linger(this.#world, machine, random.integer(0, 2_000));
        isReady = random.chance(0.7);
        if (machine.state === 'up' && random.chance(0.3)) registration.update({ step: String(steps) });
      }
      if (machine.state === 'up') await this.#leave(machine, registration, address, sinceMs);
    }
  }

  /** G1 */
  async #leave(machine: Machine, registration: Registration, address: string, sinceMs: number): Promise<void> {
    await this.#calls.call(machine, 'leave', [], machine.options.deadlineMs, async () => {
      await registration.leave();
      /* A backup can have what it said on a session before the last one. */
      if (sinceMs > this.#restoredAtMs) this.#gone.set(address, { machine, atMs: this.#world.nowMs });
      this.#lookAtGone();
    });
  }

  /** Takes in what the store has done since the last time, revision by revision. */
  #read(): void {
    const { clock, cluster, nowMs } = this.#world;
    const { log } = cluster;
    const offsetMs = clock.now().monotonicMs - nowMs;
    for (; this.#position < log.length; this.#position += 1) {
      const { events = [], atMs = 0 } = log[this.#position] ?? {};
      const own = events.filter((event) => (event.type === 'put' ? event.entry.key : event.key).startsWith(PREFIX));
      for (const event of own) {
        if (event.type === 'put') this.#there.set(event.entry.key, event.entry);
        else this.#there.delete(event.key);
      }
      if (own.length > 0) this.#stand(atMs - offsetMs);
    }
  }

  #stand(atMs: number): void {
    const text = addressesIn(membersOf(this.#there.values()));
    const last = this.#states.at(-1);
    if (last?.text === text) return;
    if (last !== undefined) last.untilMs = atMs;
    this.#states.push({ text, untilMs: Number.POSITIVE_INFINITY });
  }

  /** G2. What was shown before a restore is shown until the restore is noticed. */
  #lookAt(machine: Machine, reader: Reader): void {
    const shown = shownBy(reader.registry);
    if (shown === undefined || reader.isOver || shown.source === 'snapshot') return;
    const { history, nowMs } = this.#world;
    if (shown !== reader.shown) {
      reader.shown = shown;
      reader.text = addressesIn(shown.members);
      if (!this.#states.some(({ text }) => text === reader.text)) {
        reader.isOver = true;
        history.violate('G2 who is shown was there', `${machine.name} shows ${reader.text} at ${shown.revision}`);
      }
    }
    const state = this.#states.findLast(({ text }) => text === reader.text);
    if (state === undefined || this.#restoredAtMs > 0 || machine.readsStale) return;
    const stalenessMs = Math.max(0, nowMs - state.untilMs);
    if (machine.clockTouchedAtMs === Number.NEGATIVE_INFINITY && shown.ageMs < stalenessMs) {
      reader.isOver = true;
      history.violate(
        'G2 the age is at least the staleness',
        `${machine.name} says ${shown.ageMs}, it is ${stalenessMs}`,
      );
    }
  }

  /** G1: what comes late brings nobody back. */
  #lookAtGone(): void {
    const { nowMs, history } = this.#world;
    if (this.#gone.size === 0) return;
    const there = new Set(membersOf(this.#world.cluster.entries(PREFIX)).map(({ address }) => address));
    for (const [address, { machine, atMs }] of this.#gone) {
      if (machine.repeatsItself || nowMs - atMs > 10_000) this.#gone.delete(address);
      else if (there.has(address)) {
        history.violate('G1 who has left does not come back', address);
        this.#gone.delete(address);
      }
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function shownBy(registry: Registry): Membership | undefined {
  try {
    return registry.members();
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}

function addressesIn(members: readonly Member[]): string {
  return members.map(({ address }) => address).join();
}
