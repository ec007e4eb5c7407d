import { unpackToken } from '../queue/token.ts';
import type { WatchEvent } from '../store/store.ts';
import type { World } from './world.ts';

/** A record at the server, from its put, or from a restore that brought it back, to its end. */
export interface RecordLife {
  readonly key: string;
  /** What the work returned. */
  readonly value: string;
  /** It was put by whoever was the first in the queue then. */
  readonly isByTurn: boolean;
  readonly sinceMs: number;
  untilMs: number;
  /** How often the store had been replaced by a backup when it was put; nothing where a backup brought it back. */
  readonly putInEra: number | undefined;
}

const PREFIX = 'sim/once/';
const TURNS = 'sim/once-turn/';

/** What was on record over time, read from the log of the store. */
export class OnceRecords {
  readonly lives: RecordLife[] = [];
  readonly #world: World;
  readonly #standing = new Map<string, RecordLife>();
  /** The create revisions of the keys in the queues. */
  readonly #turns = new Map<string, bigint>();
  readonly #onPut: (life: RecordLife, before: RecordLife | undefined) => void;
  #era = 0;
  #position = 0;

  /** `onPut` is told of each put, and of what stood there then. */
  constructor(world: World, onPut: (life: RecordLife, before: RecordLife | undefined) => void) {
    this.#world = world;
    this.#onPut = onPut;
  }

  /** Takes in what the store has done since the last time. */
  read(): void {
    const { clock, cluster, nowMs } = this.#world;
    const offsetMs = clock.now().monotonicMs - nowMs;
    for (; this.#position < cluster.log.length; this.#position += 1) {
      const { events = [], atMs = 0 } = cluster.log[this.#position] ?? {};
      for (const event of events) this.#take(event, atMs - offsetMs);
    }
  }

  /** The store was replaced: what is there now is all there is. */
  rebuild(): void {
    const { cluster, nowMs } = this.#world;
    this.#position = cluster.log.length;
    this.#era += 1;
    for (const key of [...this.#standing.keys()]) this.#end(key, nowMs);
    this.#turns.clear();
    for (const { key, createRevision } of cluster.entries(TURNS)) this.#turns.set(key, createRevision);
    for (const { key, value } of cluster.entries(PREFIX)) this.#begin(key, value, nowMs, undefined);
  }

  standing(key: string): RecordLife | undefined {
    return this.#standing.get(`${PREFIX}${key}`);
  }

  /** Those of a key that stood at some time from `sinceMs` until now. */
  during(key: string, sinceMs: number): readonly RecordLife[] {
    return this.lives.filter((life) => life.key === `${PREFIX}${key}` && life.untilMs >= sinceMs);
  }

  #take(event: WatchEvent, atMs: number): void {
    const key = event.type === 'put' ? event.entry.key : event.key;
    if (key.startsWith(TURNS)) {
      if (event.type === 'put') this.#turns.set(key, event.entry.createRevision);
      else this.#turns.delete(key);
    }
    if (!key.startsWith(PREFIX)) return;
    const before = this.#standing.get(key);
    this.#end(key, atMs);
    if (event.type === 'put') this.#onPut(this.#begin(key, event.entry.value, atMs, this.#era), before);
  }

  #begin(key: string, text: string, sinceMs: number, putInEra: number | undefined): RecordLife {
    const { value, token } = JSON.parse(text) as { readonly value: string; readonly token: string };
    const isByTurn = unpackToken(BigInt(token)).revision === this.#first(key);
    const life: RecordLife = { key, value, isByTurn, sinceMs, untilMs: Infinity, putInEra };
    this.#standing.set(key, life);
    this.lives.push(life);
    return life;
  }

  #first(key: string): bigint | undefined {
    const prefix = `${TURNS}${key.slice(PREFIX.length)}/`;
    const revisions = [...this.#turns].flatMap(([turn, revision]) => (turn.startsWith(prefix) ? [revision] : []));
    return revisions.toSorted((a, b) => (a < b ? -1 : 1))[0];
  }

  #end(key: string, atMs: number): void {
    const life = this.#standing.get(key);
    if (life !== undefined) life.untilMs = atMs;
    this.#standing.delete(key);
  }
}
