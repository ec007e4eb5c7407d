import type { SeededRandom } from '../testing/seeded-random.ts';
import type { Machine } from './machine.ts';

/** One kind of use of the coordinators, and what is to be said of it beyond the invariants of all queues. */
export interface Workload {
  /** Sets workers to work on a machine, until the world is healed or the machine is gone. */
  start(machine: Machine, random: SeededRandom): void;
  /** The store was replaced by a backup. */
  restored?(): void;
  /** At one instant. */
  look?(): void;
  /** After the healing: what this is about has to be had, on this machine, within so long. Says so itself if it is not. */
  probe(machine: Machine, withinMs: number): Promise<void>;
  /** By how much longer than that a probe may take, in milliseconds, where it has reasons of its own. */
  readonly patienceMs?: number;
  /** When everything is closed. */
  finish?(): void;
  /** What happened, for statistics. */
  readonly counts?: ReadonlyMap<string, number>;
}
