import type { KeyValue } from '../store/store.ts';
import type { World } from './world.ts';

/** Who led at the server, from one revision to the next: `undefined` is nobody. */
export interface Reign {
  readonly revision: bigint | undefined;
  readonly value: string | undefined;
  readonly sinceMs: number;
}

/** Whether somebody tells of this reign. */
export function isReign(
  reign: Reign,
  told: { readonly revision: bigint; readonly value: string } | undefined,
): boolean {
  return reign.revision === told?.revision && reign.value === told?.value;
}

/** Every leader that an election ever had, read from the log of the store. */
export class Reigns {
  readonly all: Reign[] = [{ revision: undefined, value: undefined, sinceMs: 0 }];
  readonly #world: World;
  readonly #prefix: string;
  #candidates = new Map<string, KeyValue>();
  #position = 0;

  constructor(world: World, queue: string) {
    this.#world = world;
    this.#prefix = world.prefixOf(queue);
  }

  get last(): Reign | undefined {
    return this.all.at(-1);
  }

  /** Those that were at some time since then. */
  since(sinceMs: number): readonly Reign[] {
    return this.all.filter((_, index) => (this.all[index + 1]?.sinceMs ?? Infinity) >= sinceMs);
  }

  /** Takes in what the store has done since the last time. */
  read(): void {
    const { clock, cluster, nowMs } = this.#world;
    const { log } = cluster;
    for (; this.#position < log.length; this.#position += 1) {
      const { events = [], atMs = 0 } = log[this.#position] ?? {};
      for (const event of events) {
        if (event.type === 'delete') this.#candidates.delete(event.key);
        else if (event.entry.key.startsWith(this.#prefix)) this.#candidates.set(event.entry.key, event.entry);
      }
      this.#reign(atMs - (clock.now().monotonicMs - nowMs));
    }
  }

  /** The store was replaced: what is there now is all there is. */
  rebuild(): void {
    this.#position = this.#world.cluster.log.length;
    this.#candidates = new Map(this.#world.cluster.entries(this.#prefix).map((entry) => [entry.key, entry]));
    this.#reign(this.#world.nowMs);
  }

  #reign(sinceMs: number): void {
    let leader: KeyValue | undefined;
    for (const entry of this.#candidates.values()) {
      if (leader === undefined || entry.createRevision < leader.createRevision) leader = entry;
    }
    const reign = { revision: leader?.createRevision, value: leader?.value, sinceMs };
    const { last } = this;
    if (last?.revision !== reign.revision || last?.value !== reign.value) this.all.push(reign);
  }
}
