import { Connection } from './connection.ts';
import type { Endpoint } from './endpoints.ts';
import type { Line } from './line.ts';

/**
 * The members of a cluster, in an order of preference, of which one is in use until it gives reason to suspect it. Then the next one is.
 *
 * The list may be {@link update replaced} while it is in use, and may be empty until DNS has answered for the first time. Once there is a
 * member there always is one.
 */
export class Members<L extends Line = Line> {
  readonly #open: (endpoint: Endpoint) => L;
  #connections: readonly Connection<L>[];
  #current = 0;
  #missing: string;
  #news: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** `missing`: what is waited for where there are no endpoints yet, in the words of a timeout. */
  constructor(endpoints: readonly Endpoint[], open: (endpoint: Endpoint) => L, missing = 'a list of endpoints') {
    this.#open = open;
    this.#connections = endpoints.map((endpoint) => new Connection(endpoint, open));
    this.#missing = missing;
  }

  get size(): number {
    return this.#connections.length;
  }

  /** The member in use; none as long as the list is empty. */
  get current(): Connection<L> | undefined {
    return this.#connections[this.#current];
  }

  get missing(): string {
    return this.#missing;
  }

  /** The members in the order in which to try them, without those that were. */
  untried(tried: readonly Connection<L>[]): readonly Connection<L>[] {
    const inOrder = [...this.#connections.slice(this.#current), ...this.#connections.slice(0, this.#current)];
    return tried.length === 0 ? inOrder : inOrder.filter((connection) => !tried.includes(connection));
  }

  /** Leaves `connection` for the next member, unless another call has done so already. */
  suspect(connection: Connection<L>): void {
    if (connection === this.current) this.#current = (this.#current + 1) % this.#connections.length;
  }

  /**
   * Takes another list of at least one endpoint. Who stays in it keeps the connection, and the one in use stays in use. Who is gone from it
   * gets nothing new: the streams there break, as on a failure, and the calls under way may end.
   */
  update(endpoints: readonly Endpoint[]): void {
    const { current } = this;
    const known = new Map(this.#connections.map((connection) => [connection.endpoint.url, connection]));
    this.#connections = endpoints.map((endpoint) => {
      const connection = known.get(endpoint.url) ?? new Connection(endpoint, this.#open);
      known.delete(endpoint.url);
      return connection;
    });
    this.#current = Math.max(0, current === undefined ? 0 : this.#connections.indexOf(current));
    this.#tell();
    /* Last: whose stream breaks now asks for a member at once. */
    for (const gone of known.values()) gone.retire();
  }

  /** There is no list still, for this reason. For whoever waits for {@link news}. */
  lack(missing: string): void {
    this.#missing = missing;
    this.#tell();
  }

  /** Resolves when there is a list, or something new to say of why there is none. */
  news(): Promise<void> {
    if (this.#news === undefined) {
      let resolve = (): void => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#news = { promise, resolve };
    }
    return this.#news.promise;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #tell(): void {
    this.#news?.resolve();
    this.#news = undefined;
  }
}
