/**
 * A service that is told to stop: `close` in a SIGTERM handler. It takes nothing new, tells what runs under a lock to come to an end,
 * waits for it, releases, and only then lets go of its lease. What is not done within `drainMs` keeps its lock until the lease ends:
 * nothing is ever released under running work.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/graceful-shutdown.js
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClosedError,
  CoordinationUnavailableError,
  createCoordinator,
  LockTimeoutError,
  type HeldLock,
} from 'holdfast';

const coordinator = createCoordinator({ namespace: 'example' });

/* Orchestrators send SIGKILL some time after SIGTERM (Kubernetes: 30 s). Draining should end well before that. */
process.once('SIGTERM', () => {
  console.log('told to stop; draining');
  void coordinator.close({ drainMs: 10_000 });
});

let batches = 0;
let running = true;
while (running) {
  try {
    await coordinator.lock('batches').with(work, { timeoutMs: 5_000 });
  } catch (error) {
    if (error instanceof ClosedError) running = false;
    else if (error instanceof CoordinationUnavailableError) await sleep(1_000);
    else if (!(error instanceof LockTimeoutError)) throw error;
  }
}
console.log(`stopped after ${batches} whole batches`);

/** Batches are small, so that the end of one is never far; each is finished, and then the signal is looked at. */
async function work(held: HeldLock): Promise<void> {
  console.log('working; stop with SIGTERM');
  while (!held.signal.aborted) {
    await batch();
    batches += 1;
  }
  /* Not `held.signal.throwIfAborted()`: the work has come to its end as it should, and `with` tells of a lost lock by itself. */
}

async function batch(): Promise<void> {
  await sleep(200);
}
