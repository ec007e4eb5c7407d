/**
 * What every implementation of the {@link Store} port does, as cases that run against any of them: the model in memory on every run of
 * the unit tests, a real etcd in `integration/store/`. So the model is held to what was measured.
 *
 * The cases that wait need up to five seconds of the store's time.
 */
import { callCases } from './contract/calls.ts';
import type { ContractCase } from './contract/contract.ts';
import { leaseCases } from './contract/leases.ts';
import { rangeCases } from './contract/ranges.ts';
import { transactionCases } from './contract/transactions.ts';
import { watchCases } from './contract/watches.ts';

export const storeContract: readonly ContractCase[] = [
  ...transactionCases,
  ...rangeCases,
  ...leaseCases,
  ...watchCases,
  ...callCases,
];
