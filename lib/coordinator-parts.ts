/** What the features of one coordinator stand on, built once. */
import type { CacheContext } from './cache/cache.ts';
import type { CompleteOptions } from './coordinator-options.ts';
import type { ElectionContext } from './election/election.ts';
import { Health } from './health/health.ts';
import { WaitQueue } from './queue/wait-queue.ts';
import type { RegistryContext } from './registry/registry.ts';
import { Replicas } from './replica/replicas.ts';
import { SnapshotFolder } from './replica/snapshot.ts';
import { RetryBudget } from './resilience/retry-budget.ts';
import type { Files } from './runtime/files.ts';
import type { Runtime } from './runtime/runtime.ts';
import { SessionKeeper } from './session/keeper.ts';
import { Operations } from './session/operations.ts';
import { marginMs } from './session/ttl.ts';
import type { Repetition } from './store/repeat.ts';
import { RevisionFloor } from './store/revision-floor.ts';
import type { Store } from './store/store.ts';

/** Each feature takes of it what it needs, and says so by its own context. */
export interface Parts extends ElectionContext, CacheContext, RegistryContext {
  readonly keeper: SessionKeeper;
}

/** Between the repeats of a step: quick at first, since most failures are short. */
const BACKOFF = { baseMs: 50, capMs: 2_000 };

/** No I/O. `expectOpen` throws ClosedError once the coordinator closes. */
export function buildParts(
  runtime: Runtime,
  connection: Store,
  { keyspace, ttlMs, timeoutMs, deadlineMs, instanceId, snapshotDir }: CompleteOptions,
  files: Files,
  expectOpen: () => void,
): Parts {
  const repetition: Repetition = { ...BACKOFF, attemptTimeoutMs: timeoutMs, budget: new RetryBudget(runtime.clock) };
  const store = new RevisionFloor(runtime, connection, (error) => {
    queue.forget();
    keeper.giveUpCurrent(error);
    replicas.resyncAll(error.message);
  });
  const health = new Health(runtime, { ttlMs, marginMs });
  const keeper = new SessionKeeper(runtime, store, health, keyspace, repetition, { ttlMs, marginMs, instanceId });
  const queue = new WaitQueue(runtime, store, health, keeper, keyspace, repetition);
  const snapshots = snapshotDir === undefined ? undefined : new SnapshotFolder(runtime, files, snapshotDir);
  const replicas = new Replicas(runtime, store, repetition, snapshots);
  const operations = new Operations(runtime, store, repetition, (signal) => keeper.session(signal));
  return {
    runtime,
    store,
    repetition,
    keyspace,
    deadlineMs,
    instanceId,
    health,
    keeper,
    queue,
    replicas,
    operations,
    expectOpen,
    opened: new Set(),
    registrations: new Set(),
    leavesFirst: true,
  };
}
