/** The ledger over HTTP, as a worker uses it. */
import { parseToken, StaleTokenError } from 'holdfast';
import type { Accounts, Applied, Fenced } from './accounts.ts';
import { appliedFromWire, tokenToWire, type Wire } from './ledger-file.ts';
import type { Statement, Statements, Total } from './statement.ts';

const ATTEMPTS = 3;

export interface LedgerOptions {
  /** How long the answer to an attempt is waited for, in milliseconds. @default 2_000 */
  readonly attemptMs?: number | undefined;
}

export class LedgerAccounts implements Accounts, Statements {
  readonly #url: string;
  readonly #attemptMs: number;

  constructor(url: string, { attemptMs = 2_000 }: LedgerOptions = {}) {
    this.#url = url;
    this.#attemptMs = attemptMs;
  }

  async read(touched: readonly Fenced[]): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#post('/read', touched.map(tokenToWire))) as [string, number][]);
  }

  async write(applied: Applied): Promise<'applied' | 'repeated'> {
    const wire = { ...applied, postings: applied.postings.map(tokenToWire) };
    return (await this.#post('/write', wire)) as 'applied' | 'repeated';
  }

  async addUp(token: bigint): Promise<Total> {
    return (await this.#post('/add-up', tokenToWire({ token }))) as Total;
  }

  async state(statement: Statement): Promise<'stated' | 'repeated'> {
    return (await this.#post('/state', tokenToWire(statement))) as 'stated' | 'repeated';
  }

  async find(id: string): Promise<Applied | undefined> {
    const response = await fetch(`${this.#url}/transfers/${encodeURIComponent(id)}`);
    return response.status === 404 ? undefined : appliedFromWire((await response.json()) as Wire<Applied>);
  }

  async close(): Promise<void> {
    /* Connections that are idle do not keep the process. */
  }

  /** No answer is no failure: the request may have been applied. All requests may be repeated, so they are. */
  async #post(path: string, body: unknown): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      let response: Response;
      let answer: unknown;
      try {
        const signal = AbortSignal.timeout(this.#attemptMs);
        response = await fetch(this.#url + path, { method: 'POST', body: JSON.stringify(body), signal });
        answer = await response.json();
      } catch (error) {
        if (attempt < ATTEMPTS) continue;
        throw new Error(`The ledger did not answer ${path}`, { cause: error });
      }
      if (response.status === 409) throw staleToken(answer as Wire<Refusal>);
      if (!response.ok) throw new Error(`The ledger refused ${path}: ${String(answer)}`);
      return answer;
    }
  }
}

interface Refusal {
  readonly resource: string;
  readonly token: bigint;
  readonly highest: bigint;
}

function staleToken({ resource, token, highest }: Wire<Refusal>): StaleTokenError {
  return new StaleTokenError({ resource, token: parseToken(token), highest: parseToken(highest) });
}
