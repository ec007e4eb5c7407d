/**
 * The resource that the locks protect: accounts with a balance each. A transfer reads two balances, computes, and writes two: a
 * read-modify-write, so a writer that does not know of a newer one destroys money. The demo has two such resources, a ledger of its
 * own (ledger.ts) and PostgreSQL (postgres-accounts.ts). Both refuse what a newer holder of the lock has overtaken.
 */
import type { Transfer } from './jobs.ts';
import type { Statement } from './statement.ts';

/** An account and the fencing token of the lock on it. */
export interface Fenced {
  readonly account: string;
  readonly token: bigint;
}

/** What a transfer makes of an account, in cents. */
export interface Posting extends Fenced {
  readonly balance: number;
}

/** A transfer as it was applied: by whom, under which tokens, and to which balances. */
export interface Applied extends Transfer {
  readonly worker: string;
  readonly postings: readonly Posting[];
}

/** What every account holds at the beginning, in cents. It may be overdrawn: the order of transfers then does not matter. */
export const OPENING_BALANCE = 100_000;

/** The accounts, as a worker sees them. Both calls reject with StaleTokenError, and nothing is changed then. */
export interface Accounts {
  /** Shows the guard the tokens, and only then reads: from here on, older holders are refused. */
  read(touched: readonly Fenced[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Writes both balances or none. Idempotent by the transfer's id: one that was applied before is left alone and called repeated.
   * So a write that was not answered may be sent again.
   */
  write(applied: Applied): Promise<'applied' | 'repeated'>;
  close(): Promise<void>;
}

/** The accounts, as the demo sees them: it looks at what arrived, and audits it in the end. */
export interface Books extends AsyncDisposable {
  /** Where workers find the accounts. */
  readonly address: AccountsAddress;
  /** The transfer as it was applied; `undefined` if it was not, so far. */
  find(id: string): Promise<Applied | undefined>;
  /** Everything that was applied, in that order, from what is durable. */
  history(): Promise<readonly Applied[]>;
  balances(): Promise<ReadonlyMap<string, number>>;
  /** Every statement, in the order in which they were written, from what is durable. */
  statements(): Promise<readonly Statement[]>;
}

export type AccountsAddress =
  | { readonly kind: 'ledger'; readonly url: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string; readonly fencing: boolean };
