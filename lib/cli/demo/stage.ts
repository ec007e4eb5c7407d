import type { Config } from '../../config/config.ts';
import type { Json } from '../../config/schema.ts';
import type { Coordinator } from '../../coordinator.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { FaultProxy } from '../../testing/fault-proxy.ts';
import type { Crew } from './crew.ts';
import type { Journal } from './journal.ts';

/** What every act has at hand. */
export interface Stage {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly crew: Crew;
  /** The network between the workers and etcd. */
  readonly network: FaultProxy;
  /** Of somebody who operates all this, with a network of their own. */
  readonly operator: Coordinator;
  readonly limits: Config<Json, Json>;
  /** How many calls etcd has answered. */
  readonly calls: () => number;
  readonly signal: AbortSignal;
}

/** Resolves when all of these have. */
export async function each<T>(names: readonly string[], act: (name: string) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(names.map(act));
}
