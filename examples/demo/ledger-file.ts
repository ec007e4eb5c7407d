/**
 * The ledger's append-only file, one JSON object a line. It is all that the ledger knows: balances, what was applied, and the fence
 * of each account are rebuilt from it on start.
 *
 *     {"opened":[["ada",100000],["ben",100000]]}
 *     {"fence":[{"account":"ada","token":"8192"}]}      a newer holder has shown its token
 *     {"applied":{"id":"t-1","from":"ada", …}}          a transfer, with both balances in one line: all of it or nothing
 *     {"stated":{"tick":"…","transfers":12, …}}         a statement of all this
 */
import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { parseToken } from 'holdfast';
import { memoryGuard, type MemoryGuard } from 'holdfast/guards/memory';
import { OPENING_BALANCE, type Applied, type Fenced } from './accounts.ts';
import type { Statement } from './statement.ts';

/** Tokens travel as decimal text: as JSON numbers they would be rounded above 2^53, and a rounded token fences nothing. */
export type Wire<T> = T extends bigint ? string : T extends object ? { readonly [Key in keyof T]: Wire<T[Key]> } : T;

type Line =
  | { readonly opened: readonly (readonly [account: string, balance: number])[] }
  | { readonly fence: readonly Wire<Fenced>[] }
  | { readonly applied: Wire<Applied> }
  | { readonly stated: Wire<Statement> };

export class LedgerFile {
  readonly balances: Map<string, number> = new Map();
  readonly applied: Map<string, Applied> = new Map();
  /** By their ticks. */
  readonly statements: Map<string, Statement> = new Map();
  /** Lives as long as the ledger's process, and is as old as its file. */
  readonly guard: MemoryGuard = memoryGuard();
  readonly #highest = new Map<string, bigint>();
  readonly #file: number;

  constructor(path: string) {
    const { lines, bytes } = readLines(path);
    for (const line of lines) this.#learn(line);
    truncateSync(path, bytes);
    this.#file = openSync(path, 'a');
  }

  /** The tokens are on disk before they are believed: a ledger that forgot one would let an older holder pass. */
  raise(touched: readonly Fenced[]): void {
    const news = touched.filter(({ account, token }) => token > (this.#highest.get(account) ?? 0n));
    if (news.length > 0) this.#append({ fence: news.map(tokenToWire) });
  }

  apply(applied: Applied): void {
    this.#append({ applied: { ...applied, postings: applied.postings.map(tokenToWire) } });
  }

  state(statement: Statement): void {
    this.#append({ stated: tokenToWire(statement) });
  }

  close(): void {
    closeSync(this.#file);
  }

  #append(line: Line): void {
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
    this.#learn(line);
  }

  #learn(line: Line): void {
    if ('opened' in line) {
      for (const [account, balance] of line.opened) this.balances.set(account, balance);
    } else if ('fence' in line) {
      for (const { account, token } of line.fence) this.#learnToken(account, parseToken(token));
    } else if ('stated' in line) {
      const statement = statementFromWire(line.stated);
      this.statements.set(statement.tick, statement);
    } else {
      const applied = appliedFromWire(line.applied);
      this.applied.set(applied.id, applied);
      for (const { account, balance } of applied.postings) this.balances.set(account, balance);
    }
  }

  #learnToken(account: string, token: bigint): void {
    this.guard.check(account, token);
    this.#highest.set(account, token);
  }
}

/** The file's whole lines. One without its end is a write that a crash cut short: nobody was told that it succeeded, so it is not read. */
function readLines(path: string): { readonly lines: readonly Line[]; readonly bytes: number } {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const lines = whole.split('\n').filter((line) => line !== '');
  return { lines: lines.map((line) => JSON.parse(line) as Line), bytes: Buffer.byteLength(whole) };
}

/** Every transfer on record, in its order, also one that should not be there twice. */
export function readApplied(path: string): Applied[] {
  return readLines(path).lines.flatMap((line) => ('applied' in line ? appliedFromWire(line.applied) : []));
}

/** As above. */
export function readStatements(path: string): Statement[] {
  return readLines(path).lines.flatMap((line) => ('stated' in line ? statementFromWire(line.stated) : []));
}

/** A new ledger's first line. */
export function openingLine(accounts: readonly string[]): string {
  const line: Line = { opened: accounts.map((account) => [account, OPENING_BALANCE]) };
  return `${JSON.stringify(line)}\n`;
}

export function tokenToWire<T extends { readonly token: bigint }>(
  value: T,
): Omit<T, 'token'> & { readonly token: string } {
  return { ...value, token: value.token.toString() };
}

export function appliedFromWire(wire: Wire<Applied>): Applied {
  return { ...wire, postings: wire.postings.map((posting) => ({ ...posting, token: parseToken(posting.token) })) };
}

export function statementFromWire(wire: Wire<Statement>): Statement {
  return { ...wire, token: parseToken(wire.token) };
}
