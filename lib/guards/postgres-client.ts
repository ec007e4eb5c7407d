import { CoordinationUnavailableError } from '../errors.ts';

// What the guard needs of pg, by shape: this package does not depend on it.

/** A connection, as pg's `Client` and `PoolClient`; or a `Pool`, where any connection will do. */
export interface PostgresClient {
  /** Runs one statement with its parameters `$1`, `$2`, …, or several without any. */
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  /** pg: the state of the transaction as the server last told it, `I` outside of one. */
  getTransactionStatus?(): string | null;
}

/** A connection that was lent by a pool and goes back to it with `release`; with an error, the pool closes it. */
export interface PostgresPoolClient extends PostgresClient {
  release(error?: Error): void;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  off?(event: 'error', listener: (error: Error) => void): unknown;
  listeners?(event: 'error'): readonly unknown[];
}

/** What lends connections: pg's `Pool`. */
export interface PostgresPool {
  connect(): Promise<PostgresPoolClient>;
}

/**
 * A connection on loan. It goes back exactly once: whole, or to be closed.
 *
 * pg emits `error` on a client whose connection ends, also between two queries, and without a listener that ends the process: a pool
 * has one on its idle clients only. A server that enforces our time limits ends connections, so the loan listens.
 */
export class Loan {
  readonly client: PostgresPoolClient;
  /** Aborts when the connection is gone; the reason's cause tells why. */
  readonly lost: AbortSignal;
  readonly #onError: (error: Error) => void;
  #isOut = true;

  constructor(client: PostgresPoolClient) {
    if (typeof client?.query !== 'function' || typeof client.release !== 'function') {
      throw new TypeError("Expected pool.connect() to give a client with query and release, as pg's Pool does");
    }
    const lost = new AbortController();
    this.client = client;
    this.lost = lost.signal;
    this.#onError = (error) => {
      const message = `The connection to PostgreSQL ended before COMMIT was sent: ${error.message}. Nothing was written.`;
      lost.abort(new CoordinationUnavailableError(message, { cause: error }));
    };
    client.on?.('error', this.#onError);
  }

  get isOut(): boolean {
    return this.#isOut;
  }

  giveBack(): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    this.client.off?.('error', this.#onError);
    try {
      this.client.release();
    } catch {
      // The work released it already, which pg refuses the second time. The transaction's outcome does not change by that.
    }
  }

  /**
   * Queries that wait for an answer are rejected, and the server rolls back.
   *
   * The connection may still come to its end with an error, such as the farewell of a server that had ended the transaction of a
   * paused process. pg's pool would emit that, and end the process where nobody listens to it. The error was told already, so only
   * our listener stays.
   */
  close(reason: unknown): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    const before = this.client.listeners?.('error') ?? [];
    this.client.release(
      reason instanceof Error ? reason : new Error('The transaction was given up', { cause: reason }),
    );
    const added = (this.client.listeners?.('error') ?? []).filter((listener) => !before.includes(listener));
    for (const listener of added) this.client.off?.('error', listener as (error: Error) => void);
  }
}
