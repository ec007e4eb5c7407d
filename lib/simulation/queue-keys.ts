import type { KeyValue } from '../store/store.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** A key in a queue, from its put to its delete. */
export interface KeyLife {
  readonly key: string;
  readonly queue: string;
  /** Whose lease it is on. */
  readonly machine: Machine | undefined;
  readonly sinceMs: number;
  untilMs: number;
  reported: boolean;
}

/** Below which there are queues; each slot of a semaphore counts as one, and so does each partition. */
const QUEUES: ReadonlySet<string> = new Set([
  'lock',
  'election',
  'semaphore',
  'semaphore-slot',
  'rwlock',
  'partition',
  'once-turn',
]);

/** Those that are one by what comes after the name. */
const NUMBERED: ReadonlySet<string> = new Set(['semaphore-slot', 'partition']);

/** The queues' keys over time, read from the log of the store. */
export class QueueKeys {
  readonly #world: World;
  readonly #alive = new Map<string, KeyLife>();
  readonly #past: KeyLife[] = [];
  readonly #changed = new Set<string>();
  readonly #onBirth: (life: KeyLife) => void;
  readonly #machineOfLease = new Map<bigint, Machine>();
  #position = 0;

  constructor(world: World, onBirth: (life: KeyLife) => void) {
    this.#world = world;
    this.#onBirth = onBirth;
  }

  /** The queues in which something has changed since this was last asked. */
  takeChanged(): ReadonlySet<string> {
    const changed = new Set(this.#changed);
    this.#changed.clear();
    return changed;
  }

  get alive(): Iterable<KeyLife> {
    return this.#alive.values();
  }

  /** Keys of a queue that stood at some time from `sinceMs` until now. */
  during(queue: string, sinceMs: number): readonly KeyLife[] {
    return [...this.#alive.values(), ...this.#past].filter((life) => life.queue === queue && life.untilMs >= sinceMs);
  }

  /** Takes in what the store has done since the last time. */
  read(): void {
    const { log } = this.#world.cluster;
    for (; this.#position < log.length; this.#position += 1) {
      const { events = [], atMs = 0 } = log[this.#position] ?? {};
      /* The log tells the monotonic clock's time, everything else here tells the time since the beginning. */
      const nowMs = atMs - (this.#world.clock.now().monotonicMs - this.#world.nowMs);
      for (const event of events) {
        if (event.type === 'put') this.#put(event.entry, nowMs);
        else this.#delete(event.key, nowMs);
      }
    }
  }

  /** The store was replaced: what is there now is all there is. */
  rebuild(): void {
    this.#position = this.#world.cluster.log.length;
    for (const key of [...this.#alive.keys()]) this.#delete(key, this.#world.nowMs);
    for (const entry of this.#world.cluster.entries('sim/')) this.#put(entry, this.#world.nowMs);
  }

  #put({ key, value, lease }: KeyValue, nowMs: number): void {
    const [, room, name = '', marker] = key.split('/');
    if (room === 'session' && marker === undefined) {
      const { instanceId } = JSON.parse(value) as { instanceId: string };
      const machine = this.#world.machines.find((machine) => machine.name === instanceId);
      if (machine !== undefined) this.#machineOfLease.set(BigInt(`0x${name}`), machine);
    }
    if (room === undefined || !QUEUES.has(room) || this.#alive.has(key)) return;
    const queue = NUMBERED.has(room) ? `${room}/${name}/${marker}` : `${room}/${name}`;
    const machine = this.#machineOfLease.get(lease);
    const life: KeyLife = { key, queue, machine, sinceMs: nowMs, untilMs: Infinity, reported: false };
    this.#changed.add(queue);
    this.#alive.set(key, life);
    this.#onBirth(life);
  }

  #delete(key: string, nowMs: number): void {
    const life = this.#alive.get(key);
    if (life === undefined) return;
    life.untilMs = nowMs;
    this.#changed.add(life.queue);
    this.#alive.delete(key);
    this.#past.push(life);
  }
}
