/**
 * A worker: takes transfers, one at a time, and applies each under fenced locks on both of its accounts. This is the file to read for
 * how to use the SDK; the rest of the folder makes trouble for it and checks the result.
 *
 * 1. Take the locks, with a limit: a job that cannot be had now is given back, and another one taken.
 * 2. Show the tokens to the guard before the first read.
 * 3. Work. Stop when `held.signal` aborts: it does so before anybody else can hold the lock.
 * 4. Write with the tokens. Only here it is decided whether we were still the holder, and not by us: however recently we looked, we
 *    may have been paused since. The guard refuses what came too late.
 * 5. What happened to a job is told by the error's class. All of them but a bug mean "give it back": the transfer's id makes a repeat
 *    harmless.
 *
 * Beside that all workers have a scheduled job, which one of them leads; see statement-job.ts.
 *
 * How fast it works is a config entry, which it reads from memory for each transfer: a change is there with the next one, and an outage
 * of etcd stops no reader.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CoordinationUnavailableError,
  createCoordinator,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  StaleTokenError,
  type HeldLocks,
} from 'holdfast';
import type { Accounts, Fenced } from './accounts.ts';
import { seeded } from './chance.ts';
import type { Transfer } from './jobs.ts';
import type { FromWorker, Outcome, ToWorker, WorkerOrders } from './messages.ts';
import { openAccounts } from './open-accounts.ts';
import { openPace } from './pace.ts';
import { Quotes } from './quotes.ts';
import { overSlowNetwork } from './slow-network.ts';
import { endStatements, scheduleStatements } from './statement-job.ts';

const orders = JSON.parse(process.argv[2] ?? '') as WorkerOrders;
const chance = seeded(orders.seed);
const report = (message: FromWorker): unknown => process.send?.(message);

/** How long to wait for two accounts, in milliseconds. Shorter than a lease: an account of a dead holder should not hold up the others. */
const LOCKS_TIMEOUT_MS = 1_500;

/** A worker without a pace is of no use. On a busy machine the first contact takes a while. */
const READY_TIMEOUT_MS = 15_000;

const coordinator = createCoordinator({
  endpoints: orders.endpoint,
  namespace: 'demo',
  instanceId: orders.name,
  session: { ttlMs: orders.ttlMs },
  request: { timeoutMs: 1_000, deadlineMs: 3_000 },
});

const pace = openPace(coordinator);

const books = await openAccounts(orders.accounts);
await pace.ready({ timeoutMs: READY_TIMEOUT_MS });
const statements = scheduleStatements(coordinator, books, { worker: orders.name, report });
const quotes = new Quotes(pace, (stretch) => report({ type: 'answered', stretch }));

async function attempt(job: Transfer): Promise<Outcome> {
  /* From memory: no I/O, and nothing to await. Without a pace there is no limit. */
  const paceMs = pace.get()?.value.transferMs ?? 0;
  const accounts = overSlowNetwork(books, {
    delayMs: paceMs / 2,
    onWrite: ({ postings }, arrival) => report({ type: 'writing', job, touched: postings, arrival }),
  });
  try {
    const both = coordinator.lockAll([job.from, job.to]);
    const options = { timeoutMs: LOCKS_TIMEOUT_MS };
    const askedAt = process.hrtime.bigint();
    return await both.with((held) => transfer(job, held, accounts, { paceMs, askedAt }), options);
  } catch (error) {
    return outcomeOf(error);
  }
}

async function transfer(
  job: Transfer,
  held: HeldLocks,
  accounts: Accounts,
  { paceMs, askedAt }: { readonly paceMs: number; readonly askedAt: bigint },
): Promise<Outcome> {
  const { id, from, to, amount } = job;
  const touched: Fenced[] = [from, to].map((account) => ({ account, token: held.token(account) }));
  report({ type: 'granted', job, touched, askedAt, at: process.hrtime.bigint() });

  const before = await accounts.read(touched);
  await checkLimits(paceMs / 2, held.signal);

  /* Saves a useless trip. It proves nothing: the lock can be lost between this line and the arrival of the write. */
  held.assertHeld();

  const postings = touched.map((fenced) => ({
    ...fenced,
    balance: (before.get(fenced.account) ?? 0) + (fenced.account === to ? amount : -amount),
  }));
  const kind = await accounts.write({ id, from, to, amount, worker: orders.name, postings });
  return { kind, touched };
}

/** Whatever takes time between a read and a write: a remote check, a calculation, somebody's approval. */
async function checkLimits(aboutMs: number, signal: AbortSignal): Promise<void> {
  await sleep(aboutMs * (0.5 + chance()), undefined, { signal });
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof LockTimeoutError) return { kind: 'busy' };
  if (error instanceof CoordinationUnavailableError) return { kind: 'unavailable' };
  /* A lost lock is what `with` reports first; what the work met because of it is the cause. */
  const stale = causesOf(error).find((cause) => cause instanceof StaleTokenError);
  if (stale !== undefined) {
    const { resource, token, highest } = stale;
    return { kind: 'stale', account: resource, token, highest };
  }
  if (error instanceof LockLostError || error instanceof OutcomeUnknownError) {
    return { kind: 'lost', message: error.message };
  }
  throw error;
}

function causesOf(error: unknown): unknown[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}

/** While etcd is away nothing is granted, so there is no use in asking. Health says when it is back. */
async function untilConnected(): Promise<void> {
  for await (const { state } of coordinator.watchHealth()) {
    if (state === 'connected' || state === 'closed') return;
  }
}

async function reportHealth(): Promise<void> {
  for await (const { state } of coordinator.watchHealth()) report({ type: 'health', state });
}

/** Once for each version, where something has to be done about it. Whoever only needs the value just reads it. */
async function reportPace(): Promise<void> {
  for await (const entry of pace.watch()) {
    if (entry !== undefined) report({ type: 'configured', version: entry.version, at: process.hrtime.bigint() });
  }
}

async function work(job: Transfer): Promise<void> {
  const outcome = await attempt(job);
  report({ type: 'settled', job, outcome });
  if (outcome.kind === 'unavailable') await untilConnected();
  report({ type: 'idle' });
}

async function endJob(): Promise<void> {
  report({ type: 'ended', records: await endStatements(statements) });
}

/** Nothing keeps the process after this: it ends by itself. */
async function finish(): Promise<void> {
  quotes[Symbol.dispose]();
  await coordinator.close({ drainMs: 2_000 });
  await books.close();
  process.off('disconnect', exitWithDemo);
  process.disconnect();
}

function exitWithDemo(): void {
  process.exit();
}

/* Ctrl-C reaches every process of a terminal; the demo decides what it means. */
process.on('SIGINT', () => undefined);
process.on('disconnect', exitWithDemo);
process.on('message', (message: ToWorker) => {
  if (message.type === 'take') void work(message.job);
  else void (message.type === 'end-statements' ? endJob() : finish());
});
void reportHealth();
void reportPace();
report({ type: 'idle' });
