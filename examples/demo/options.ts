/** The demo's command line. */
import path from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  readonly file: string;
  readonly postgres: string | undefined;
  readonly seed: number;
  readonly fencing: boolean;
}

/** The command line cannot be used. The message is for whoever typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `Usage: npm run demo -- [--file JOBS.ndjson] [--postgres URL] [--seed N] [--without-fencing]

Three worker processes apply transfers between accounts under fenced locks, while one of them is killed,
one is paused beyond its lease, and etcd is stopped and started again. Then their pace is changed, a
config entry that they read from memory all the time, and the one that leads a scheduled job is killed
in a run of it. An audit follows.

  --file             transfers, one JSON object a line: {"id":"t-1","from":"ada","to":"ben","amount":1250},
                     amounts in cents. Default: 200 transfers among 8 accounts
  --postgres         keep the accounts in this PostgreSQL, in a schema of their own that is dropped in the
                     end. Default: a ledger process with an append-only file
  --seed             chooses the moments of trouble and the pace of the workers. Default: 1
  --without-fencing  leave the guard out, see the paused worker's late write destroy money, and the audit
                     notice

Exit status: 0 all is well, 1 the audit failed, 2 the demo could not be run.`;

/** Where the compiled file stands, the sources and the default jobs are three folders up. */
const DEFAULT_JOBS = path.join(import.meta.dirname, '..', '..', '..', 'examples', 'demo', 'jobs.ndjson');

/** Throws a UsageError; `undefined` if help was asked for. */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const { file, postgres, seed, help, 'without-fencing': withoutFencing } = parse(args);
  if (help === true) return undefined;
  return {
    file: file === undefined ? path.relative('', DEFAULT_JOBS) : expectText('--file', file),
    postgres: postgres === undefined ? undefined : expectPostgres(postgres),
    seed: seed === undefined ? 1 : expectSeed(seed),
    fencing: withoutFencing !== true,
  };
}

function parse(args: readonly string[]): ReturnType<typeof parseStrictly> {
  try {
    return parseStrictly(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function parseStrictly(args: readonly string[]): {
  file?: string | undefined;
  postgres?: string | undefined;
  seed?: string | undefined;
  help?: boolean | undefined;
  'without-fencing'?: boolean | undefined;
} {
  return parseArgs({
    args: [...args],
    options: {
      file: { type: 'string' },
      postgres: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      'without-fencing': { type: 'boolean' },
    },
  }).values;
}

function expectText(option: string, value: string): string {
  if (value === '') throw new UsageError(`Expected ${option} to name a file, got nothing`);
  return value;
}

function expectSeed(value: string): number {
  if (!/^\d{1,9}$/.test(value)) {
    throw new UsageError(`Expected --seed to be a whole number from 0 to 999999999, got ${JSON.stringify(value)}`);
  }
  return Number(value);
}

function expectPostgres(value: string): string {
  if (/^postgres(ql)?:\/\//.test(value) && URL.canParse(value)) return value;
  /* Not shown: it may hold a password. */
  throw new UsageError('Expected --postgres to be a URL such as postgres://user:password@127.0.0.1:5432/database');
}
