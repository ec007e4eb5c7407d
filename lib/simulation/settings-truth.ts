import type { WatchEvent } from '../store/store.ts';
import type { World } from './world.ts';

/** A write at the server. */
export interface Write {
  readonly revision: bigint;
  readonly key: string;
  /** `undefined`: it was deleted. */
  readonly value: string | undefined;
  readonly atMs: number;
  /** How often the store had been replaced by a backup. */
  readonly era: number;
}

/** What stood under a key, and since which revision. */
export interface Standing {
  readonly value: string;
  readonly revision: bigint;
}

/** Every write under a prefix, read from the log of the store. */
export class SettingsTruth {
  readonly writes: Write[] = [];
  readonly #world: World;
  readonly #prefix: string;
  /** By revision of this era: it is asked at every instant. */
  readonly #states = new Map<bigint, ReadonlyMap<string, Standing>>();
  /** What a backup brought back, by era. */
  readonly #beginnings: ReadonlyMap<string, Standing>[] = [new Map()];
  /** The revision with which this era began; what stood before it in the backup is not known here. */
  sinceRevision = 0n;
  /** And when. */
  sinceMs = 0;
  #position = 0;

  constructor(world: World, prefix: string) {
    this.#world = world;
    this.#prefix = prefix;
  }

  get era(): number {
    return this.#beginnings.length - 1;
  }

  /** Takes in what the store has done since the last time. */
  read(): void {
    const { clock, cluster, nowMs } = this.#world;
    const offsetMs = clock.now().monotonicMs - nowMs;
    for (; this.#position < cluster.log.length; this.#position += 1) {
      const { events = [], atMs = 0 } = cluster.log[this.#position] ?? {};
      for (const event of events) this.#write(event, atMs - offsetMs);
    }
  }

  /** The store was replaced: what is there now is all there is. */
  rebuild(): void {
    const { cluster } = this.#world;
    this.#position = cluster.log.length;
    this.sinceRevision = cluster.revision;
    this.sinceMs = this.#world.nowMs;
    this.#states.clear();
    const entries = cluster.entries(this.#prefix);
    this.#beginnings.push(
      new Map(
        entries.map(({ key, value, modRevision }) => [this.#nameOf(key), { value, revision: modRevision }] as const),
      ),
    );
  }

  /** What stood there before the write with this index, or now. */
  before(index: number, era: number = this.writes[index]?.era ?? this.era): Map<string, Standing> {
    return this.#state((_, at) => at < index, era);
  }

  /** What stood there at a revision of this era. Once that has been reached, it does not change any more. */
  at(revision: bigint): ReadonlyMap<string, Standing> {
    const known = this.#states.get(revision);
    if (known !== undefined) return known;
    const state = this.#state((write) => write.revision <= revision, this.era);
    /* A list from before a restore can be of a revision that is yet to come. */
    if (revision <= this.#world.cluster.revision) this.#states.set(revision, state);
    return state;
  }

  /** What stood there at a revision of the era before. */
  atBefore(revision: bigint): ReadonlyMap<string, Standing> {
    return this.#state((write) => write.revision <= revision, this.era - 1);
  }

  /** The first write of this era above a revision. */
  after(revision: bigint): Write | undefined {
    const { writes, era } = this;
    let index = writes.length;
    const isAfter = (write: Write | undefined): boolean => write?.era === era && write.revision > revision;
    while (isAfter(writes[index - 1])) index -= 1;
    return writes[index];
  }

  /** Whether it stood there at some time, in whatever era. */
  everStood(key: string, { value, revision }: Standing): boolean {
    return (
      this.writes.some((write) => write.key === key && write.value === value && write.revision === revision) ||
      this.#beginnings.some((state) => state.get(key)?.value === value && state.get(key)?.revision === revision)
    );
  }

  /** When it was written over, or deleted; `undefined`: it stands, or another era has begun since. */
  supersededAt(key: string, { revision }: Standing): number | undefined {
    return this.writes.find((write) => write.era === this.era && write.key === key && write.revision > revision)?.atMs;
  }

  #state(includes: (write: Write, index: number) => boolean, era: number): Map<string, Standing> {
    const state = new Map(this.#beginnings[era]);
    for (const [index, write] of this.writes.entries()) {
      if (write.era !== era || !includes(write, index)) continue;
      if (write.value === undefined) state.delete(write.key);
      else state.set(write.key, { value: write.value, revision: write.revision });
    }
    return state;
  }

  #write(event: WatchEvent, atMs: number): void {
    const full = event.type === 'put' ? event.entry.key : event.key;
    if (!full.startsWith(this.#prefix)) return;
    const [revision, value] =
      event.type === 'put' ? [event.entry.modRevision, event.entry.value] : [event.modRevision, undefined];
    this.writes.push({ revision, key: this.#nameOf(full), value, atMs, era: this.era });
  }

  #nameOf(key: string): string {
    return key.slice(this.#prefix.length);
  }
}
