import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Client } from 'pg';
import { readJobs } from '../examples/demo/jobs.ts';
import { PostgresServer } from './servers/postgres-server.ts';
import { killAtExit } from './servers/server-process.ts';

// The demo as a user runs it, with fewer transfers. The two that show the promises run alone, since each starts eight processes and
// is about seconds; the rest side by side.

const shortRun = 30;

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
  /** What of its temporary files is left. */
  readonly left: readonly string[];
  /** The processes that it said it started, and that are still there. */
  readonly alive: readonly number[];
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Called with everything that was printed so far. */
  readonly onOutput?: ((out: string, kill: (signal: NodeJS.Signals) => void) => void) | undefined;
}

async function runDemo(t: ExecutionContext, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-demo-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  /* Its workers connect as a user's would. */
  const env = { ...process.env, HOLDFAST_TEST_ACCESS: 'plain', ...options.env, TMPDIR: folder, FORCE_COLOR: '' };
  const child = spawn(process.execPath, ['dist/examples/demo/main.js', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  killAtExit(child);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    options.onOutput?.(out, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  const pids = [...out.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid));
  const run = { status, out, err, left: await readdir(folder), alive: pids.filter(isAlive) };
  t.log(out + err);
  return run;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function someJobs(t: ExecutionContext, count: number): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-jobs-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'jobs.ndjson');
  const jobs = (await readJobs('examples/demo/jobs.ndjson')).slice(0, count);
  await writeFile(file, jobs.map((job) => JSON.stringify(job)).join('\n'));
  return file;
}

/** The audit's line with this name. */
function found(out: string, name: string): string {
  return out.split('\n').find((line) => line.startsWith(`  ${name} `)) ?? `no line ${name}`;
}

function leavesNothing(t: ExecutionContext, { left, alive }: Run): void {
  t.deepEqual(left, []);
  t.deepEqual(alive, []);
}

test.serial(
  'transfers survive kills, a pause and an outage, each applied once, and so does a scheduled job',
  async (t) => {
    const run = await runDemo(t, ['--file', await someJobs(t, shortRun)]);
    t.is(run.status, 0);
    t.is(run.err, '');
    t.regex(found(run.out, 'each transfer applied once'), / 30 of 30 +ok$/);
    for (const name of [
      'sum of all balances',
      'balances as in a replay',
      'no update lost',
      'tokens rise on each account',
    ]) {
      t.regex(found(run.out, name), / ok$/);
    }
    t.regex(found(run.out, 'stale writes refused'), / [1-9]\d*, 1 staged +ok$/);
    t.regex(found(run.out, 'granted while etcd was away'), / 0 in \d+\.\d s +ok$/);
    t.regex(found(run.out, 'config change reached all'), / version 2, 3 of 3 workers within \d+ ms; .* +ok$/);
    t.regex(found(run.out, 'reads while etcd was away'), / [\d,]+, up to \d+\.\d s old; live → stale → live +ok$/);
    t.regex(found(run.out, 'no version made up'), / [\d,]+ reads, of versions 1 and 2 +ok$/);
    t.regex(run.out, /nemesis +kills w\d \(SIGKILL\)/);
    t.regex(run.out, /w\d +takes \w+ over after /);
    t.regex(run.out, /guard +refuses it: \w+ has seen token \d+, and w\d comes with \d+/);
    t.regex(run.out, /workers +degraded after /);
    t.regex(run.out, /workers +read the pace from memory .* stale, \d+\.\d s old\n/);
    t.regex(run.out, /workers +have read the pace [\d,]+ times meanwhile: version 1, \d+\.\d s old by now\n/);
    t.regex(run.out, /workers +connected again/);
    t.regex(run.out, /workers +read the pace live again/);
    t.regex(run.out, /operator +sets the pace from 200 to 100 ms a transfer: version 2\n/);
    t.regex(run.out, /workers +apply it:( w\d after \d+ ms[,;]){3} none was restarted\n/);
    t.regex(run.out, /w\d +states for \d\d:\d\d:\d\d: \d+ transfers, 8,000\.00 in all accounts\n/);
    t.regex(run.out, /nemesis +kills w\d \(SIGKILL\) in the run of [\d:]+, before its statement is written\n/);
    t.regex(run.out, /demo +starts w5 in its place\n/);
    t.regex(run.out, /w\d +leads after \d+\.\d s and starts the run of [\d:]+: attempt 2\n/);
    t.regex(run.out, /w\d +goes on with the tick of [\d:]+/);
    t.regex(found(run.out, 'no tick started twice'), / \d+ starts: (w\d \d+(, )?)+ +ok$/);
    t.regex(found(run.out, 'every tick accounted for'), / \d+ came due: \d+ finished, .* +ok$/);
    t.regex(found(run.out, 'run of the killed leader'), / [\d:]+ abandoned by w\d, .*finished by w\d +ok$/);
    t.regex(found(run.out, 'one statement for each tick'), / \d+, under tokens that rise +ok$/);
    t.regex(found(run.out, 'each statement adds up'), / the last knows of 30 transfers +ok$/);
    t.true(
      run.out.split('\n').every((line) => line.length <= 100),
      'lines fit into 100 columns',
    );
    t.false(run.out.includes('\u001b'), 'no colours on a pipe');
    leavesNothing(t, run);
  },
);

test('without fencing the late write goes through, and the audit fails', async (t) => {
  const run = await runDemo(t, ['--file', await someJobs(t, shortRun), '--without-fencing', '--seed', '2']);
  t.is(run.status, 1);
  t.regex(found(run.out, 'stale writes refused'), / 0, 1 staged; wrong: t-\d+ by w\d +FAILED$/);
  t.regex(found(run.out, 'tokens rise on each account'), / FAILED$/);
  t.regex(found(run.out, 'no update lost'), / FAILED$/);
  t.regex(found(run.out, 'balances as in a replay'), / FAILED$/);
  t.regex(run.out, /books +take the late write of w\d/);
  leavesNothing(t, run);
});

test('a file of one transfer is played on, too', async (t) => {
  const run = await runDemo(t, ['--file', await someJobs(t, 1)]);
  t.is(run.status, 0);
  t.regex(found(run.out, 'each transfer applied once'), / 1 of 1 +ok$/);
  /* Its one write can be faster than the nemesis; then there is none to be late. */
  t.regex(found(run.out, 'stale writes refused'), / (1, 1 staged +ok|\d+; none was staged) *$/);
  t.regex(found(run.out, 'each statement adds up'), / the last knows of 1 transfers? +ok$/);
  leavesNothing(t, run);
});

test.serial('the accounts can be in PostgreSQL, and nothing is left there', async (t) => {
  await using server = await PostgresServer.start();
  const run = await runDemo(t, ['--file', await someJobs(t, shortRun), '--postgres', server.connectionString]);
  t.is(run.status, 0);
  t.regex(found(run.out, 'each transfer applied once'), / 30 of 30 +ok$/);
  t.regex(found(run.out, 'stale writes refused'), / [1-9]\d*, 1 staged +ok$/);
  t.regex(found(run.out, 'one statement for each tick'), / ok$/);
  t.regex(found(run.out, 'each statement adds up'), / ok$/);
  t.deepEqual(await schemas(server), []);
  leavesNothing(t, run);
});

test('Ctrl-C while a worker is paused leaves neither process nor file nor schema', async (t) => {
  await using server = await PostgresServer.start();
  const run = await runDemo(t, ['--postgres', server.connectionString], {
    onOutput: (out, kill) => {
      if (out.includes('(SIGSTOP)')) kill('SIGINT');
    },
  });
  t.is(run.status, 130);
  t.is(run.err, '');
  t.deepEqual(await schemas(server), []);
  leavesNothing(t, run);
});

test('what cannot be run is told in a line or with its line number, with status 2', async (t) => {
  const file = await someJobs(t, 2);
  await writeFile(file, '{"id":"t-1","from":"ada","to":"ben","amount":-1}\n');
  const badJobs = await runDemo(t, ['--file', file]);
  t.deepEqual([badJobs.status, badJobs.out], [2, '']);
  t.is(badJobs.err, `${file}:1: expected amount to be a whole number of cents from 1 to 1000000000, got -1\n`);

  const noEtcd = await runDemo(t, [], { env: { HOLDFAST_ETCD_BIN: '/no/such/etcd' } });
  t.is(noEtcd.status, 2);
  t.regex(noEtcd.err, /^No etcd: HOLDFAST_ETCD_BIN=\/no\/such\/etcd is no etcd server\..*\n$/);
  leavesNothing(t, noEtcd);

  const badOption = await runDemo(t, ['--speed', '9']);
  t.is(badOption.status, 2);
  t.regex(badOption.err, /--speed/);
});

async function schemas(server: PostgresServer): Promise<unknown[]> {
  const client = new Client({ connectionString: server.connectionString });
  await client.connect();
  try {
    return (
      await client.query<{ name: string }>("select nspname as name from pg_namespace where nspname like 'holdfast%'")
    ).rows;
  } finally {
    await client.end();
  }
}
