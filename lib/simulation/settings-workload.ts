import type { Cache } from '../cache/cache.ts';
import type { Config } from '../config/config.ts';
import { HoldfastError } from '../errors.ts';
import { sleep } from '../runtime/clock.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Calls } from './calls.ts';
import type { Operation } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import { SettingsReader } from './settings-reader.ts';
import { SettingsTruth } from './settings-truth.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

const KEYS = ['a', 'b', 'c', 'd'];

/** What a machine reads and writes by. */
interface Settings {
  readonly cache: Cache;
  /** The same keys, two of them at a time. */
  readonly some: Cache;
  readonly config: Config<Setting, Setting>;
  readonly reader: SettingsReader;
}

/** A counter that everybody raises, and which of all writes it was. */
type Setting = { count: number; id: string };

/** A write that was asked for: all of them differ. */
interface Asked {
  readonly machine: Machine;
  readonly operation: Operation;
  readonly text: string;
  /** It was said to stand although its writer has not seen it. */
  stands: boolean;
}

/** Writers and readers of cached keys and of a config entry. */
export class SettingsWorkload implements Workload {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #calls: Calls;
  readonly #cached: SettingsTruth;
  readonly #configured: SettingsTruth;
  readonly #settings = new Map<Machine, Settings>();
  readonly #asked: Asked[] = [];

  constructor(world: World, _: Invariants, calls: Calls) {
    this.#world = world;
    this.#calls = calls;
    this.#cached = new SettingsTruth(world, 'sim/cache/s/');
    this.#configured = new SettingsTruth(world, 'sim/config/');
  }

  start(machine: Machine, random: SeededRandom): void {
    const { coordinator } = machine;
    const freshnessMs = random.pick([300, 1_000, 5_000]);
    const cache = coordinator.cache('s/', { freshnessMs });
    const some = coordinator.cache('s/', { keys: 'on-demand', max: 2, freshnessMs });
    const config = coordinator.config<Setting, Setting>('limits', { freshnessMs });
    const reader = new SettingsReader(this.#world, machine, this.#cached, cache, [...KEYS, 'probe']);
    this.#settings.set(machine, { cache, some, config, reader });
    void this.#followConfig(machine, config);
    for (let index = 0; index < this.#world.setup.workers; index += 1) void this.#work(machine, random.fork());
  }

  restored(): void {
    this.#cached.rebuild();
    this.#configured.rebuild();
  }

  look(): void {
    this.#cached.read();
    this.#configured.read();
    for (const { reader } of this.#settings.values()) reader.look();
  }

  /** Everybody can write again, sees it, and comes to know everything. */
  async probe(machine: Machine, withinMs: number): Promise<void> {
    const settings = this.#settings.get(machine);
    if (settings === undefined) return;
    const { cache, reader } = settings;
    const untilMs = this.#world.nowMs + withinMs;
    await this.#calls.call(machine, 'probe', [], withinMs, async () => {
      await this.#calls.insist(machine, untilMs, () => cache.put('probe', machine.name));
    });
    while (!reader.isCurrent && this.#world.nowMs < untilMs) await sleep(this.#world.clock, 50);
    if (!reader.isCurrent) this.#world.history.violate('a reader comes to know everything', machine.name);
  }

  /** D2, and that a write is done once. A config's versions count on, and no update is lost. */
  finish(): void {
    this.look();
    const { history } = this.#world;
    const cold = [...this.#settings.values()].filter(({ reader }) => reader.hasServedSnapshot);
    this.counts.set('machines that served from a file', cold.length);
    const times = new Map<string, number>();
    for (const { value } of [...this.#cached.writes, ...this.#configured.writes]) {
      if (value !== undefined) times.set(textOf(value), (times.get(textOf(value)) ?? 0) + 1);
    }
    for (const { machine, operation, text, stands } of this.#asked) {
      const { outcome, id, verb } = operation;
      const written = times.get(text) ?? 0;
      const who = `${machine.name} #${id} ${verb}: ${outcome}, and it was written ${written} times`;
      if (outcome === 'ok' || stands) {
        if (written === 0) history.violate('what was acknowledged was written', who);
      } else if (outcome !== 'OutcomeUnknownError' && outcome !== 'pending' && written > 0 && !machine.repeatsItself) {
        /* What the network sends a second time can be taken where the first was refused. */
        history.violate('D2 what was refused was not written', who);
      }
      if (written > 1 && !machine.repeatsItself) history.violate('a write is done once', who);
    }
    this.#checkVersions();
  }

  #checkVersions(): void {
    const repeats = this.#world.machines.some((machine) => machine.repeatsItself);
    let last: { readonly era: number; readonly version: number; readonly count: number } | undefined;
    for (const { value, era, revision } of this.#configured.writes) {
      /* Where it was deleted, or another history began, the count may begin anew. */
      if (value === undefined || (last !== undefined && last.era !== era)) last = undefined;
      if (value === undefined) continue;
      const { version, value: setting } = JSON.parse(value) as { readonly version: number; readonly value: Setting };
      const { count } = setting;
      if (last !== undefined && version !== last.version + 1 && !(repeats && version === last.version)) {
        this.#world.history.violate('versions count on', `${version} at ${revision} after ${last.version}`);
      }
      if (last !== undefined && count > 0 && count !== last.count + 1 && !repeats) {
        this.#world.history.violate('no update is lost', `${count} at ${revision} after ${last.count}`);
      }
      last = { era, version, count };
    }
  }

  /** Versions rise for one reader, unless a gap or an older store is announced. */
  async #followConfig(machine: Machine, config: Config<Setting, Setting>): Promise<void> {
    let last = 0;
    for await (const entry of config.watch()) {
      if (entry === undefined) continue;
      if (entry.version <= last && entry.resynced !== true) {
        this.#world.history.violate('versions rise', `${machine.name} saw ${entry.version} after ${last}`);
      }
      last = entry.version;
    }
  }

  async #work(machine: Machine, random: SeededRandom): Promise<void> {
    for (;;) {
      await sleep(machine.host, random.integer(5, 1_000));
      const settings = this.#settings.get(machine);
      if (this.#world.healedAtMs !== undefined || machine.isGone || settings === undefined) return;
      const share = random.uniform();
      if (share < 0.35) await this.#put(machine, settings, random);
      else if (share < 0.45) await this.#delete(machine, settings, random);
      else if (share < 0.7) await this.#read(machine, settings, random);
      else if (share < 0.8) await this.#set(machine, settings, random);
      else await this.#update(machine, settings);
    }
  }

  async #put(machine: Machine, { cache, some }: Settings, random: SeededRandom): Promise<void> {
    const key = random.pick(KEYS);
    const by = random.pick([cache, some]);
    const expected = cache.get(key)?.revision ?? 0n;
    const ifRevision = random.chance(0.5) ? expected : undefined;
    const signal = random.chance(0.2) ? this.#calls.takenBack(machine, random.integer(0, 300)) : undefined;
    await this.#write(machine, 'put', async (text) => {
      const { era } = this.#cached;
      await by.put(key, text, { ifRevision, signal });
      this.#checkSeen(machine, { cache, by }, key, text, era);
    });
  }

  /** C4. */
  #checkSeen(
    machine: Machine,
    { cache, by }: { readonly cache: Cache; readonly by: Cache },
    key: string,
    text: string,
    era: number,
  ): void {
    this.#cached.read();
    const own = this.#cached.writes.find((write) => write.value === text);
    /* What the cache of some keys does not keep, it does not show; one that is closed shows what it had. */
    const shown = by === cache ? cache.stats().revision : by.get(key)?.revision;
    const isSeen = shown === undefined || shown >= (own?.revision ?? 0n) || machine.state !== 'up';
    /* A restore counts for a cache when it has noticed it: what it shows is of a greater revision, of another history. */
    const isJustRestored = era > 0 && this.#world.nowMs - this.#cached.sinceMs <= machine.options.timeoutMs;
    if (!isSeen && era === this.#cached.era && !isJustRestored) {
      this.#world.history.violate('C4 a writer sees its own write', `${machine.name} ${key}=${text}`);
    }
  }

  async #delete(machine: Machine, { cache }: Settings, random: SeededRandom): Promise<void> {
    const key = random.pick(KEYS);
    await this.#calls.call(machine, 'delete', [], machine.options.deadlineMs, () => cache.delete(key));
  }

  /** A linearizable read answers what stood there at some time between its call and its answer. */
  async #read(machine: Machine, { cache, some }: Settings, random: SeededRandom): Promise<void> {
    const key = random.pick(KEYS);
    const consistency = random.pick(['cached', 'linearizable'] as const);
    const by = random.pick([cache, some, some]);
    const { deadlineMs } = machine.options;
    await this.#calls.call(machine, 'read', [], deadlineMs, async ({ startedAtMs }: Operation) => {
      const { era } = this.#cached;
      const value = (await by.read(key, { consistency }))?.value;
      this.#cached.read();
      if (era !== this.#cached.era || (consistency === 'cached' && (by === cache || machine.readsStale))) return;
      const writes = this.#cached.writes.filter((write) => write.era === era && write.key === key);
      const stood = writes.filter((_, index) => (writes[index + 1]?.atMs ?? Infinity) >= startedAtMs);
      const atFirst = this.#cached.before(0, era).get(key)?.value;
      const isTrue =
        stood.some((write) => write.value === value) ||
        ((writes[0]?.atMs ?? Infinity) >= startedAtMs && value === atFirst) ||
        consistency === 'cached';
      if (!isTrue) {
        const { history } = this.#world;
        history.violate('a linearizable read is linearizable', `${machine.name} read ${value} for ${key}`);
      }
    });
  }

  async #set(machine: Machine, { config }: Settings, random: SeededRandom): Promise<void> {
    const signal = random.chance(0.2) ? this.#calls.takenBack(machine, random.integer(0, 300)) : undefined;
    await this.#write(machine, 'set', async (id) => {
      await config.set({ count: 0, id }, { signal });
    });
  }

  async #update(machine: Machine, { config }: Settings): Promise<void> {
    await this.#write(machine, 'update', async (id) => {
      await config.update((current) => ({ count: (current?.count ?? 0) + 1, id }));
    });
  }

  async #write(machine: Machine, verb: 'put' | 'set' | 'update', act: (text: string) => Promise<void>): Promise<void> {
    const text = `${machine.name}-${this.#asked.length}`;
    /* An update is made of several calls, each with the deadline of its own. */
    const withinMs = verb === 'update' ? undefined : machine.options.deadlineMs;
    await this.#calls.call(machine, verb, [], withinMs, async (operation) => {
      const asked: Asked = { machine, operation, text, stands: false };
      this.#asked.push(asked);
      try {
        await act(text);
      } catch (error) {
        asked.stands = error instanceof HoldfastError && error.message.includes(' was written at revision ');
        throw error;
      }
    });
  }
}

/** What makes a write different from all others. */
function textOf(value: string): string {
  if (!value.startsWith('{')) return value;
  const { value: setting } = JSON.parse(value) as { readonly value: Setting };
  return setting.id;
}
