import type { Cache, CacheChange } from '../cache/cache.ts';
import { HoldfastError } from '../errors.ts';
import { sleep } from '../runtime/clock.ts';
import type { Machine } from './machine.ts';
import type { SettingsTruth, Standing, Write } from './settings-truth.ts';
import type { World } from './world.ts';

/**
 * One who reads a cache on a machine, and follows it.
 *
 * W1, W2: it is told of every write once and in order, or of a gap. C1: what is shown is what stood there at the revision that is named.
 * C2: that revision does not go back without an announcement. C3: the age is at least the true staleness.
 */
export class SettingsReader {
  readonly machine: Machine;
  readonly #world: World;
  readonly #truth: SettingsTruth;
  readonly #cache: Cache;
  readonly #keys: readonly string[];
  /** What it makes of the changes it is told of. */
  readonly #shadow = new Map<string, Standing>();
  /** Which write has to come next; `undefined`: it was told of a gap, and only the next one shows. */
  #next: number | undefined;
  #isOver = false;
  /** It was asked before the store had said anything, and answered from a file. */
  hasServedSnapshot = false;
  #revision = 0n;
  #resyncs = 0;
  /** The era of what it was told last. */
  #era = 0;

  constructor(world: World, machine: Machine, truth: SettingsTruth, cache: Cache, keys: readonly string[]) {
    this.#world = world;
    this.machine = machine;
    this.#truth = truth;
    this.#cache = cache;
    this.#keys = keys;
    this.#era = truth.era;
    void this.#follow().catch((error: unknown) => {
      world.history.violate('a watcher ends only with its coordinator', `${machine.name}: ${String(error)}`);
    });
  }

  /** It knows everything there is. */
  get isCurrent(): boolean {
    return this.#truth.after(this.#cache.stats().revision) === undefined;
  }

  /** Looks at what the cache shows now. A restore is noticed only when something is heard of the store again. */
  look(): void {
    const { history, nowMs } = this.#world;
    const { name, host, isGone } = this.machine;
    if (isGone || host.isStopped || this.#isOver) return;
    const { revision, ageMs, resyncs } = this.#cache.stats();
    if (resyncs !== this.#resyncs) this.#era = this.#truth.era;
    else if (revision < this.#revision) {
      history.violate('C2 revisions do not go back', `${name} went from ${this.#revision} to ${revision}`);
    }
    this.#revision = revision;
    this.#resyncs = resyncs;
    if (revision === 0n) this.#lookAtSnapshot();
    /* A server with stale reads can answer a list from before the backup was taken. */
    if (revision === 0n || this.#era !== this.#truth.era || revision < this.#truth.sinceRevision) return;
    const truth = this.#truth.at(revision);
    if (!this.#shows(truth) && this.#isOfTheEraBefore(revision)) {
      this.#era -= 1;
      return;
    }
    for (const key of this.#keys) {
      const [shown, stood] = [this.#cache.get(key), truth.get(key)];
      if (shown?.value === stood?.value && shown?.revision === stood?.revision) continue;
      history.violate(
        'C1 what is shown stood there',
        `${name} shows ${shown?.value}@${shown?.revision} for ${key} at ${revision}, there stood ${stood?.value}@${stood?.revision}`,
      );
      this.#isOver = true;
    }
    const missed = this.#truth.after(revision);
    const stalenessMs = missed === undefined ? 0 : nowMs - missed.atMs;
    if (ageMs < stalenessMs && !this.machine.readsStale && this.machine.clockTouchedAtMs === Number.NEGATIVE_INFINITY) {
      history.violate('C3 the age is at least the staleness', `${name} says ${ageMs} ms, it is ${stalenessMs} ms`);
      this.#isOver = true;
    }
  }

  #shows(truth: ReadonlyMap<string, Standing>): boolean {
    return this.#keys.every((key) => {
      const [shown, stood] = [this.#cache.get(key), truth.get(key)];
      return shown?.value === stood?.value && shown?.revision === stood?.revision;
    });
  }

  /** A list that was answered between two restores can be under way during the second. It shows what stood there between them. */
  #isOfTheEraBefore(revision: bigint): boolean {
    const { era, sinceMs } = this.#truth;
    const mayBe = era > 0 && this.#world.nowMs - sinceMs <= this.machine.options.timeoutMs;
    return mayBe && this.#shows(this.#truth.atBefore(revision));
  }

  /** Before the store has said anything: what a file said is marked as that, stood there once, and is of no known age. */
  #lookAtSnapshot(): void {
    const { history, nowMs } = this.#world;
    const { name } = this.machine;
    for (const key of this.#keys) {
      const shown = this.#cache.get(key);
      if (shown === undefined) continue;
      this.hasServedSnapshot = true;
      const stalenessMs = nowMs - (this.#truth.supersededAt(key, shown) ?? nowMs);
      const what = `${name} shows ${shown.value}@${shown.revision} for ${key}, ${shown.source}, ${shown.ageMs} ms old`;
      if (shown.source !== 'snapshot') history.violate('what a file said is marked as that', what);
      if (!this.#truth.everStood(key, shown)) history.violate('C1 what is shown stood there', what);
      if (shown.ageMs < stalenessMs) history.violate('C3 the age is at least the staleness', what);
      if (Number.isFinite(shown.ageMs)) history.violate('the age of what nobody has proved is not known', what);
    }
  }

  async #follow(): Promise<void> {
    while (!(await this.#isReady())) {
      if (this.machine.isGone || this.machine.state === 'closing') return;
      /* What is refused is refused at once. */
      await sleep(this.machine.host, 250);
    }
    for (const key of this.#keys) {
      const entry = this.#cache.get(key);
      if (entry !== undefined) this.#shadow.set(key, entry);
    }
    for await (const change of this.#cache.watch()) this.#hear(change);
  }

  async #isReady(): Promise<boolean> {
    try {
      await this.#cache.ready();
      return true;
    } catch (error) {
      if (error instanceof HoldfastError) return false;
      throw error;
    }
  }

  #hear(change: CacheChange): void {
    this.#truth.read();
    const { key, revision } = change;
    const value = change.type === 'put' ? change.value : undefined;
    if (change.resynced === true) {
      this.#next = undefined;
      this.#apply(key, value, revision);
      return;
    }
    const { writes } = this.#truth;
    let index = this.#next ?? this.#find(change);
    if (!isOf(writes[index ?? -1], change)) index = this.#overEras(change) ?? index;
    /* A list that was answered from before the backup goes on by history that the backup brought back, and then by what came after it. */
    if (this.machine.readsStale && !isOf(writes[index ?? -1], change)) index = this.#find(change);
    const write = index === undefined ? undefined : writes[index];
    if (index === undefined || !isOf(write, change)) {
      const expected = write === undefined ? 'nothing' : `${write.key}=${write.value}@${write.revision}`;
      this.#violate('W1 every write once and in order', `${key}=${value}@${revision}, and ${expected} was next`);
    } else if (this.#next === undefined && !isSame(this.#shadow, this.#truth.before(index))) {
      this.#violate('W1 a gap tells what led over it', `before ${key}=${value}@${revision}`);
    }
    this.#next = index === undefined ? undefined : index + 1;
    this.#apply(key, value, revision);
  }

  /**
   * The change, if it is the next one but for what was written between two restores: to those who were away meanwhile, and knew just what the
   * backup had, nothing of that ever was.
   */
  #overEras(change: CacheChange): number | undefined {
    const { writes } = this.#truth;
    const index = this.#find(change);
    if (index === undefined || this.#next === undefined || index < this.#next) return undefined;
    const { era } = writes[index] ?? {};
    const isGone = writes.slice(this.#next, index).every((write) => write.era !== era);
    return isGone && isSame(this.#shadow, this.#truth.before(index)) ? index : undefined;
  }

  /** The last write that the change can be of. */
  #find(change: CacheChange): number | undefined {
    const index = this.#truth.writes.findLastIndex((write) => isOf(write, change));
    return index === -1 ? undefined : index;
  }

  #apply(key: string, value: string | undefined, revision: bigint): void {
    if (value === undefined) this.#shadow.delete(key);
    else this.#shadow.set(key, { value, revision });
  }

  #violate(claim: string, details: string): void {
    if (!this.#isOver) this.#world.history.violate(claim, `${this.machine.name} was told of ${details}`);
    this.#isOver = true;
  }
}

function isOf(write: Write | undefined, change: CacheChange): boolean {
  const value = change.type === 'put' ? change.value : undefined;
  return write?.key === change.key && write.value === value && write.revision === change.revision;
}

function isSame(a: ReadonlyMap<string, Standing>, b: ReadonlyMap<string, Standing>): boolean {
  return a.size === b.size && [...a].every(([key, { revision }]) => b.get(key)?.revision === revision);
}
