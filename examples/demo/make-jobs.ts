/**
 * Writes a file of transfers for the demo to the standard output. `jobs.ndjson` beside it was made by
 *
 *     node dist/examples/demo/make-jobs.js 200 1 > examples/demo/jobs.ndjson
 */
import { seeded } from './chance.ts';
import type { Transfer } from './jobs.ts';

const ACCOUNTS = ['ada', 'ben', 'cleo', 'dan', 'eva', 'finn', 'gita', 'hugo'];

const [count = 200, seed = 1] = process.argv.slice(2).map(Number);
const chance = seeded(seed);
const below = (limit: number): number => Math.floor(chance() * limit);

for (let index = 1; index <= count; index += 1) {
  const from = below(ACCOUNTS.length);
  const to = (from + 1 + below(ACCOUNTS.length - 1)) % ACCOUNTS.length;
  const transfer: Transfer = {
    id: `t-${String(index).padStart(String(count).length, '0')}`,
    from: ACCOUNTS[from] ?? '',
    to: ACCOUNTS[to] ?? '',
    amount: 1 + below(20_000),
  };
  process.stdout.write(`${JSON.stringify(transfer)}\n`);
}
