/**
 * A worker in a process of its own. Its argument: the options of its coordinator, as JSON. It does what the test that started it
 * tells it over the channel, and reads and writes a counter that lives with that test.
 */
import { readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCoordinator, type CoordinatorOptions, type HeldLock } from '../../../lib/index.ts';
import {
  failureOf,
  OpenCalls,
  type ClientCommands,
  type FromClient,
  type Question,
  type ToClient,
} from './messages.ts';

const coordinator = createCoordinator(JSON.parse(process.argv[2] ?? '{}') as CoordinatorOptions);
const questions = new OpenCalls();
let held: HeldLock | undefined;

/** What an increment may meet when its process was paused or its session ended; the guard sees to it that nothing is lost. */
const EXPECTED = new Set(['STALE_TOKEN', 'LOCK_LOST', 'UNAVAILABLE']);

const commands: ClientCommands = {
  ready: () => coordinator.ready({ timeoutMs: 15_000 }),

  async acquire(name) {
    held = await coordinator.lock(name).acquire({ waitForRecovery: true });
    return held.token;
  },

  isHeld: () => holding().isHeld(),
  release: () => holding().release(),
  read: () => ask({ kind: 'read', token: holding().token }),
  write: (value) => ask({ kind: 'write', token: holding().token, value }),

  heldAfterBlock() {
    send({ kind: 'blocked' });
    readSync(0, Buffer.alloc(1));
    return holding().isHeld();
  },

  async increment(name, count) {
    const done = { acknowledged: 0, failures: {} as Record<string, number> };
    const increment = async ({ token }: HeldLock): Promise<void> => {
      const value = await ask<number>({ kind: 'read', token });
      await sleep(Math.random() * 3);
      await ask({ kind: 'write', token, value: value + 1 });
      done.acknowledged += 1;
    };
    while (done.acknowledged < count) {
      try {
        await coordinator.lock(name).with(increment, { waitForRecovery: true });
      } catch (error) {
        const { code } = error as { readonly code?: string };
        if (code === undefined || !EXPECTED.has(code)) throw error;
        done.failures[code] = (done.failures[code] ?? 0) + 1;
      }
    }
    return done;
  },
};

process.on('message', (message: ToClient) => {
  if (message.kind === 'answer') {
    questions.settle(message.id, message.outcome);
    return;
  }
  const { id, command, args } = message;
  const run = commands[command] as (...args: unknown[]) => unknown;
  Promise.resolve()
    .then(() => run(...args))
    .then(
      (value) => send({ kind: 'outcome', id, outcome: { value } }),
      (error: unknown) => send({ kind: 'outcome', id, outcome: failureOf(error) }),
    );
});

/* Whoever started it is gone. */
process.on('disconnect', () => process.exit());

function holding(): HeldLock {
  if (held === undefined) throw new Error('Expected a lock to have been acquired.');
  return held;
}

function ask<T>(question: Question): Promise<T> {
  return questions.begin((id) => send({ kind: 'question', id, question }));
}

function send(message: FromClient): void {
  process.send?.(message);
}
