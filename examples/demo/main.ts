/**
 * The demo: three worker processes apply transfers between accounts, each under fenced locks on its two accounts, on a real etcd,
 * while things go wrong, at a pace that stands in a config entry, and with a scheduled job that one of them leads. Read worker.ts for
 * how to use the SDK, ledger.ts for what a resource has to do, nemesis.ts for what goes wrong, and audit.ts for what must hold
 * nevertheless.
 *
 * Which locks: `lockAll([from, to])`, since a transfer reads and writes both balances. Two locks are two tokens, and the guard of each
 * account compares its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { EtcdServer } from '../../integration/servers/etcd-server.ts';
import { removeAtExit } from '../../integration/servers/server-process.ts';
import type { Books } from './accounts.ts';
import { audit } from './audit.ts';
import { seeded } from './chance.ts';
import { paceIsChanged } from './change.ts';
import { Crew } from './crew.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Finding } from './finding.ts';
import { accountsOf, JobsError, readJobs, type Transfer } from './jobs.ts';
import { LedgerBooks } from './ledger-books.ts';
import { Nemesis } from './nemesis.ts';
import { Operator } from './operator.ts';
import { parseOptions, USAGE, UsageError, type DemoOptions } from './options.ts';
import { printBalances, printFindings, printProgress, printSetting } from './printout.ts';
import { Reports } from './reports.ts';
import { RollCall } from './roll-call.ts';
import type { Stage } from './stage.ts';
import { leaderDies, statementsEnd } from './succession.ts';
import { Timeline } from './timeline.ts';
import { Witness } from './witness.ts';

const WORKERS = 3;
const TTL_MS = 3_000;
/** Longer than a lease: the job of a paused worker is waited for until its locks are free, and not much longer. */
const VISIBILITY_MS = TTL_MS + 4_000;
/** How long a transfer takes while things go wrong: long enough to see it. */
const SCENE_PACE_MS = 200;
/** Afterwards at least twice as fast, and the faster the more there is to do: so long, by itself, takes the work of all transfers. */
const REST_MS = 6_000;

/** The demo cannot be run here at all. The message is one line. */
class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

async function main(timeline: Timeline, signal: AbortSignal): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  const jobs = await readJobs(options.file);
  printSetting(options, { workers: WORKERS, ttlMs: TTL_MS }, jobs, timeline);

  await using folder = await temporaryFolder();
  await using etcd = await startEtcd(timeline);
  signal.throwIfAborted();
  await using books = await openBooks(options, folder.path, jobs);
  const findings = await perform({ options, jobs, etcd, books, timeline, signal });
  return findings.every(({ ok }) => ok !== false) ? 0 : 1;
}

interface Performance {
  readonly options: DemoOptions;
  readonly jobs: readonly Transfer[];
  readonly etcd: EtcdServer;
  readonly books: Books;
  readonly timeline: Timeline;
  readonly signal: AbortSignal;
}

async function perform({ options, jobs, etcd, books, timeline, signal }: Performance): Promise<Finding[]> {
  const { seed, fencing } = options;
  const chance = seeded(seed);
  const reports = new Reports();
  using failure = failureOf(reports, 120_000 + 200 * jobs.length);
  const stop = AbortSignal.any([signal, failure.signal]);
  using witness = new Witness(reports);
  await using operator = new Operator(etcd.endpoint, { ttlMs: TTL_MS });
  await using crew = new Crew(reports, { endpoint: etcd.endpoint, accounts: books.address, ttlMs: TTL_MS }, { seed });
  using dispatcher = new Dispatcher(jobs, reports, {
    visibilityMs: VISIBILITY_MS,
    tell: (worker, message) => crew.tell(worker, message),
    onOverdue: (worker, { id }) => timeline.say('queue', `has not heard of ${id} from ${worker}, delivers it again`),
  });
  /* A small file has no transfers to spare. */
  const patience = (): number => (jobs.length < 30 ? 0 : Math.floor(chance() * 6));
  using rollCall = new RollCall(reports, () => crew.names);
  const stage: Stage = { etcd, books, crew, dispatcher, reports, rollCall, witness, timeline, patience, signal: stop };
  using nemesis = new Nemesis(stage);
  using _progress = printProgress(dispatcher, jobs, timeline);

  const first = await operator.set(SCENE_PACE_MS, stop);
  timeline.say(
    'operator',
    `sets the pace to ${first.transferMs} ms a transfer: version ${first.version} of a config entry`,
  );
  const hired = Array.from({ length: WORKERS }, () => crew.hire());
  timeline.say('demo', `starts ${hired.map((worker) => `${worker} (pid ${crew.pidOf(worker)})`).join(', ')}`);
  await Promise.race([nemesis.run(), aborted(stop)]);
  timeline.heading('Act 4: a setting is changed');
  const change = await paceIsChanged(stage, operator, { from: SCENE_PACE_MS, to: restPaceMs(jobs) });
  /* Who is hired from here on was not there to be told of the change. */
  const workers = crew.names;
  const rollout = await operator.rollout(change.version, workers, stop);
  const history = await operator.history(stop);
  timeline.heading('Act 5: the leader of a scheduled job dies');
  const cutOff = await leaderDies(stage);
  await Promise.race([dispatcher.finished, aborted(stop)]);
  const { records, lastTransferAt } = await statementsEnd(stage);
  await crew.finish();
  timeline.say(
    'demo',
    `all ${jobs.length} transfers are done; the workers have closed and ended by themselves`,
    'good',
  );

  const { lateWrites, takeovers, outages } = nemesis;
  const balances = await books.balances();
  const findings = audit({
    jobs,
    applied: await books.history(),
    balances,
    refusals: witness.refusals,
    lateWrites,
    outages,
    grantsDuringOutages: witness.grantsDuring(outages),
    takeovers,
    workers,
    answers: witness.answers,
    configured: witness.configured,
    history,
    change,
    rollout,
    starts: witness.starts,
    records,
    statements: await books.statements(),
    cutOff,
    lastTransferAt,
  });
  printBalances(jobs, balances, timeline);
  printFindings(findings, fencing, timeline);
  return findings;
}

function restPaceMs(jobs: readonly Transfer[]): number {
  return Math.round(Math.min(SCENE_PACE_MS / 2, Math.max(10, REST_MS / jobs.length)));
}

async function startEtcd(timeline: Timeline): Promise<EtcdServer> {
  timeline.say('demo', 'looks for etcd: HOLDFAST_ETCD_BIN, PATH, .cache/etcd, or else fetches it', 'quiet');
  try {
    const etcd = await EtcdServer.start();
    timeline.say('etcd', `${etcd.binaries.version} answers at ${etcd.endpoint} (pid ${etcd.pid})`);
    return etcd;
  } catch (error) {
    throw new UnavailableError(firstLine(error), { cause: error });
  }
}

async function openBooks(
  { postgres, fencing }: DemoOptions,
  folder: string,
  jobs: readonly Transfer[],
): Promise<Books> {
  const accounts = accountsOf(jobs);
  if (postgres === undefined) return LedgerBooks.start({ folder, accounts, fencing });
  const { PostgresBooks } = await import('./postgres-accounts.ts');
  try {
    return await PostgresBooks.open(postgres, accounts, fencing);
  } catch (error) {
    throw new UnavailableError(`The PostgreSQL of --postgres cannot be used: ${firstLine(error)}`, { cause: error });
  }
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'holdfast-demo-'));
  removeAtExit(folder);
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** What ends the demo early: a worker that ended by itself, or time. */
function failureOf(reports: Reports, limitMs: number): Disposable & { readonly signal: AbortSignal } {
  const failure = new AbortController();
  const unlisten = reports.listen((report) => {
    if (report.type !== 'exited' || report.expected) return;
    failure.abort(new Error(`${report.worker} ended by itself, with ${report.how}`));
  });
  const timer = setTimeout(() => failure.abort(new Error(`The demo did not end within ${limitMs} ms`)), limitMs);
  const dispose = (): void => {
    clearTimeout(timer);
    unlisten();
  };
  return { signal: failure.signal, [Symbol.dispose]: dispose };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}

/**
 * On Ctrl-C everything that was begun is ended in its order. A second one ends the demo at once; not one that comes with the first,
 * as when a terminal and npm both pass it on.
 */
const interrupted = new AbortController();
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
for (const [name, status] of Object.entries(signals)) {
  let firstAt = Number.NaN;
  process.on(name, () => {
    if (performance.now() - firstAt > 1_000) process.exit();
    if (interrupted.signal.aborted) return;
    firstAt = performance.now();
    process.exitCode = status;
    interrupted.abort(new Error(`interrupted by ${name}`));
  });
}

try {
  process.exitCode = await main(new Timeline(process.stdout), interrupted.signal);
} catch (error) {
  if (!interrupted.signal.aborted) {
    const unusable = error instanceof UsageError || error instanceof JobsError || error instanceof UnavailableError;
    console.error(unusable ? error.message : error);
    if (error instanceof UsageError) console.error(`\n${USAGE}`);
    process.exitCode = unusable ? 2 : 1;
  }
}
