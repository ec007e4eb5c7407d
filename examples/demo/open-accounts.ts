import type { Accounts, AccountsAddress } from './accounts.ts';
import { LedgerAccounts } from './ledger-client.ts';
import type { Statements } from './statement.ts';

/** The accounts at an address, and their statements, for a worker. */
export async function openAccounts(address: AccountsAddress): Promise<Accounts & Statements> {
  if (address.kind === 'ledger') return new LedgerAccounts(address.url);
  /* Loaded only where it is wanted: `pg` is a dependency of the program, and not one of holdfast. */
  const { PostgresAccounts } = await import('./postgres-accounts.ts');
  return new PostgresAccounts(address);
}
