import type { Random } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Connection } from './connection.ts';
import type { Endpoint } from './endpoints.ts';
import type { Line } from './line.ts';

/**
 * The members of a cluster, of which one is in use until it gives reason to suspect it. Then the next one is, in an order that each
 * process draws for itself, so that the clients of a lost member spread over the others.
 */
export class Members<L extends Line = Line> {
  readonly #connections: readonly Connection<L>[];
  #current = 0;

  constructor(runtime: Runtime, endpoints: readonly Endpoint[], open: (endpoint: Endpoint) => L) {
    this.#connections = shuffled(endpoints, runtime.random).map((endpoint) => new Connection(endpoint, open));
  }

  get size(): number {
    return this.#connections.length;
  }

  /** The member in use. */
  get current(): Connection<L> {
    /* There is at least one: parseEndpoints has seen to that. */
    return this.#connections[this.#current] as Connection<L>;
  }

  /** Leaves `connection` for the next member, unless another call has done so already. */
  suspect(connection: Connection<L>): void {
    if (connection === this.current) this.#current = (this.#current + 1) % this.#connections.length;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const rest = [...items];
  const order: T[] = [];
  while (rest.length > 0) order.push(...rest.splice(Math.floor(random.uniform() * rest.length), 1));
  return order;
}
