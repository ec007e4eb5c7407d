import type { ChildProcess } from 'node:child_process';
/** The ledger as the demo sees it: a process to start and end, and a file to audit. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AccountsAddress, Applied, Books } from './accounts.ts';
import { OPENING_BALANCE } from './accounts.ts';
import { forkBeside } from './crew.ts';
import { LedgerAccounts } from './ledger-client.ts';
import { openingLine, readApplied, readStatements } from './ledger-file.ts';
import type { Statement } from './statement.ts';

export interface LedgerBooksOptions {
  /** Where its file goes. */
  readonly folder: string;
  readonly accounts: readonly string[];
  readonly fencing: boolean;
}

export class LedgerBooks implements Books {
  readonly address: Extract<AccountsAddress, { kind: 'ledger' }>;
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #accounts: readonly string[];

  private constructor(child: ChildProcess, url: string, file: string, accounts: readonly string[]) {
    this.address = { kind: 'ledger', url };
    this.#child = child;
    this.#file = file;
    this.#accounts = accounts;
  }

  /** Opens a new ledger, or goes on with the file that is there. */
  static async start({ folder, accounts, fencing }: LedgerBooksOptions): Promise<LedgerBooks> {
    const file = path.join(folder, 'ledger.ndjson');
    if (!existsSync(file)) await writeFile(file, openingLine(accounts));
    const child = forkBeside('ledger.js', [file, ...(fencing ? [] : ['--without-fencing'])]);
    const [port] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error('The ledger exited instead of starting'))),
    ])) as [number];
    return new LedgerBooks(child, `http://127.0.0.1:${port}`, file, accounts);
  }

  find(id: string): Promise<Applied | undefined> {
    return new LedgerAccounts(this.address.url).find(id);
  }

  async history(): Promise<readonly Applied[]> {
    return readApplied(this.#file);
  }

  async balances(): Promise<ReadonlyMap<string, number>> {
    const postings = readApplied(this.#file).flatMap((applied) => applied.postings);
    const opening = this.#accounts.map((account) => [account, OPENING_BALANCE] as const);
    return new Map([...opening, ...postings.map(({ account, balance }) => [account, balance] as const)]);
  }

  async statements(): Promise<readonly Statement[]> {
    return readStatements(this.#file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}
