import type { Accounts, AccountsAddress } from './accounts.ts';
import { LedgerAccounts } from './ledger-client.ts';

/** The accounts at an address, for a worker. */
export async function openAccounts(address: AccountsAddress): Promise<Accounts> {
  if (address.kind === 'ledger') return new LedgerAccounts(address.url);
  /* Loaded only where it is wanted: `pg` is a dependency of the program, and not one of holdfast. */
  const { PostgresAccounts } = await import('./postgres-accounts.ts');
  return new PostgresAccounts(address);
}
