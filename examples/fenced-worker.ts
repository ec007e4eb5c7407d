/**
 * The smallest honest program: a counter that is read, raised and written under a lock. The lock keeps processes from getting in each
 * other's way; the guard at the counter keeps one that was paused, and does not know that its lock is lost, from doing harm.
 *
 *     HOLDFAST_ENDPOINTS=http://127.0.0.1:2379 node dist/examples/fenced-worker.js
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CoordinationUnavailableError,
  createCoordinator,
  LockLostError,
  LockTimeoutError,
  StaleTokenError,
} from 'holdfast';
import { memoryGuard } from 'holdfast/guards/memory';

/**
 * The resource: here a counter in this process, so a guard in its memory is enough. Where the resource outlives the process, so must
 * its guard: `holdfast/guards/postgres`, `holdfast/guards/redis`, or the few lines of examples/demo/ledger.ts.
 */
class Counter {
  readonly #guard = memoryGuard();
  #value = 0;

  read(token: bigint): number {
    /* Also before reading: from now on a holder with a smaller token cannot write what it has read before. */
    this.#guard.check('counter', token);
    return this.#value;
  }

  write(value: number, token: bigint): void {
    this.#guard.check('counter', token);
    this.#value = value;
  }
}

const counter = new Counter();
await using coordinator = createCoordinator({ namespace: 'example' });

for (let round = 1; round <= 5; round += 1) {
  console.log(`round ${round}: ${await increment()}`);
}

async function increment(): Promise<string> {
  try {
    return await coordinator.lock('counter').with(
      async (held) => {
        const value = counter.read(held.token);
        /* Whatever takes time gets `held.signal`: it aborts before anybody else can hold the lock. */
        await sleep(20, undefined, { signal: held.signal });
        counter.write(value + 1, held.token);
        return `counted to ${value + 1} under token ${held.token}`;
      },
      { timeoutMs: 5_000 },
    );
  } catch (error) {
    if (error instanceof LockTimeoutError) return 'somebody else holds the lock; try again later';
    if (error instanceof CoordinationUnavailableError) return 'etcd does not answer; who holds the lock is not known';
    if (error instanceof LockLostError) return 'the lock was lost on the way; the guard let nothing harmful through';
    if (error instanceof StaleTokenError) return `a newer holder was here (${error.highest}); nothing was written`;
    throw error;
  }
}
