/** The work of the demo: transfers between accounts, one JSON object a line. What a user gives is checked before anything starts. */
import { readFile } from 'node:fs/promises';

export interface Transfer {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Cents. */
  readonly amount: number;
}

/** The file cannot be used. The message is for its author: the file, the line, what was expected and what came. */
export class JobsError extends Error {
  override readonly name = 'JobsError';
}

const FIELDS = ['id', 'from', 'to', 'amount'];
const EXAMPLE = '{"id":"t-1","from":"ada","to":"ben","amount":1250}';

/** Names end up in keys, tables and columns of a terminal: short, printable, and nothing that JavaScript gives a meaning to. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._:-]{0,23}$/u;

/** In cents. With the largest amounts, a hundred thousand transfers still add up exactly in a double. */
const MAX_AMOUNT = 1_000_000_000;
const MAX_TRANSFERS = 100_000;

/** After that many, the author knows what kind of file it is. */
const SHOWN_PROBLEMS = 5;

export async function readJobs(file: string): Promise<Transfer[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new JobsError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return parseJobs(text, file);
}

/** Empty lines are skipped. Throws a JobsError that lists what is wrong, line by line. */
export function parseJobs(text: string, file: string): Transfer[] {
  const jobs: Transfer[] = [];
  const lineOf = new Map<string, number>();
  const problems: string[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue;
    const number = index + 1;
    try {
      const job = parseTransfer(line);
      const first = lineOf.get(job.id);
      if (first !== undefined) throw new JobsError(`the id ${show(job.id)} stands on line ${first} already`);
      lineOf.set(job.id, number);
      jobs.push(job);
    } catch (error) {
      if (!(error instanceof JobsError)) throw error;
      problems.push(`${file}:${number}: ${error.message}`);
    }
  }
  if (problems.length > 0) {
    const more = problems.length - SHOWN_PROBLEMS;
    throw new JobsError(
      [...problems.slice(0, SHOWN_PROBLEMS), ...(more > 0 ? [`… and ${more} more lines`] : [])].join('\n'),
    );
  }
  if (jobs.length === 0) throw new JobsError(`${file} holds no transfer. Expected lines such as ${EXAMPLE}`);
  if (jobs.length > MAX_TRANSFERS) {
    throw new JobsError(`${file} holds ${jobs.length} transfers; the demo takes at most ${MAX_TRANSFERS}`);
  }
  return jobs;
}

/** Every account that a transfer names, in the order of their names. */
export function accountsOf(jobs: readonly Transfer[]): string[] {
  const names = new Set(jobs.flatMap(({ from, to }) => [from, to]));
  return [...names].toSorted((one, other) => (one < other ? -1 : 1));
}

function parseTransfer(line: string): Transfer {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new JobsError(`expected a JSON object such as ${EXAMPLE}, got ${show(line)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JobsError(`expected a JSON object such as ${EXAMPLE}, got ${show(line)}`);
  }
  const unknown = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw new JobsError(`expected only ${FIELDS.join(', ')}, got the field ${show(unknown)}`);
  const fields = value as Readonly<Record<string, unknown>>;
  const [from, to] = [nameOf('from', fields), nameOf('to', fields)];
  if (from === to) throw new JobsError(`expected two accounts, got ${show(from)} twice`);
  return { id: nameOf('id', fields), from, to, amount: amountOf(fields) };
}

function nameOf(field: string, fields: Readonly<Record<string, unknown>>): string {
  const value = fields[field];
  if (typeof value === 'string' && NAME.test(value)) return value;
  throw new JobsError(
    `expected ${field} to be 1 to 24 letters, digits, ".", "_", ":" or "-", starting with a letter or digit, got ${show(value)}`,
  );
}

function amountOf({ amount }: Readonly<Record<string, unknown>>): number {
  if (typeof amount === 'number' && Number.isInteger(amount) && amount >= 1 && amount <= MAX_AMOUNT) return amount;
  throw new JobsError(`expected amount to be a whole number of cents from 1 to ${MAX_AMOUNT}, got ${show(amount)}`);
}

function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
