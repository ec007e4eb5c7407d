/** What the demo prints before, beside and after its story. */
import { replay } from './audit.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Finding } from './finding.ts';
import { accountsOf, type Transfer } from './jobs.ts';
import type { DemoOptions } from './options.ts';
import { money, type Timeline } from './timeline.ts';

const PROGRESS_MS = 3_000;

/** Of many accounts only those are shown that are wrong, and of these not all. */
const SHOWN_ACCOUNTS = 12;

export interface Setting {
  readonly workers: number;
  readonly ttlMs: number;
}

export function printSetting(
  { file, seed, postgres, fencing }: DemoOptions,
  { workers, ttlMs }: Setting,
  jobs: readonly Transfer[],
  timeline: Timeline,
): void {
  const resource = postgres === undefined ? 'a ledger process' : 'PostgreSQL';
  const accounts = `${accountsOf(jobs).length} accounts in ${resource}`;
  timeline.print(`${workers} workers, ${jobs.length} transfers among ${accounts}, leases of ${ttlMs / 1_000} s`);
  timeline.print(`(${file}, seed ${seed})`, 'quiet');
  if (!fencing) timeline.print('WITHOUT FENCING: nobody compares tokens. Watch act 2.', 'refused');
  timeline.print();
}

/** Says every now and then how far the work is, if it has moved at all. */
export function printProgress(dispatcher: Dispatcher, jobs: readonly Transfer[], timeline: Timeline): Disposable {
  let shown = 0;
  const timer = setInterval(() => {
    const { total, byWorker } = dispatcher.done;
    if (total === shown) return;
    shown = total;
    const shares = [...byWorker]
      .map(([worker, count]) => `${worker} ${count}`)
      .toSorted((one, other) => (one < other ? -1 : 1));
    timeline.say('queue', `${total} of ${jobs.length} applied (${shares.join(', ')})`, 'quiet');
  }, PROGRESS_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

export function printBalances(
  jobs: readonly Transfer[],
  balances: ReadonlyMap<string, number>,
  timeline: Timeline,
): void {
  const accounts = [...replay(jobs)].map(([account, replayed]) => {
    const balance = balances.get(account) ?? 0;
    return { account, balance, replayed, difference: balance - replayed };
  });
  const wrong = accounts.filter(({ difference }) => difference !== 0);
  const shown = (accounts.length <= SHOWN_ACCOUNTS ? accounts : wrong).slice(0, SHOWN_ACCOUNTS);
  if (shown.length === 0) return;
  timeline.heading('Balances');
  const rows = shown.map(({ account, balance, replayed, difference }) => [
    account,
    money(balance),
    money(replayed),
    difference === 0 ? '' : money(difference),
  ]);
  timeline.table([['account', 'balance', 'as replayed', 'wrong by'], ...rows], { numbers: [1, 2, 3] });
}

export function printFindings(findings: readonly Finding[], fencing: boolean, timeline: Timeline): void {
  timeline.heading('Audit');
  const verdict = (ok: boolean | undefined): string => (ok === undefined ? '' : ok ? 'ok' : 'FAILED');
  timeline.table(findings.map(({ name, found, ok }) => [name, found, verdict(ok)]));
  timeline.print();
  const failed = findings.filter(({ ok }) => ok === false).length;
  if (failed === 0) timeline.print('The audit passed.', 'good');
  else timeline.print(`The audit failed: ${failed} of ${findings.length} findings.`, 'refused');
  if (!fencing) timeline.print('This run was without fencing. With it, the late write is refused: npm run demo');
}
