import { fork, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Holding } from '../queue/holding.ts';
import { onAbort } from '../runtime/abort.ts';
import { machineNow, sleep, type Clock, type Instant } from '../runtime/clock.ts';
import { isThere, signalCommand, type FromGuardian, type GuardianOptions, type ToGuardian } from './guardian.ts';

/** How a command that ran under something held came to its end. */
export type Ending =
  | { readonly is: 'ended'; readonly code: number }
  /** It was ended, since what it ran under was lost or about to be. */
  | { readonly is: 'lost' }
  /** It could not be started. */
  | { readonly is: 'unstarted'; readonly reason: string; readonly code: number };

export interface CommandOptions {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly graceMs: number;
  /** The user wants it to stop. */
  readonly signal: AbortSignal;
}

/** As shells have it. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const SIGNALLED = 128;

/** How often the guardian is told until when what is held lasts, in milliseconds. */
const TELL_MS = 100;

/** After this long a guardian that has not ended its command is itself in trouble, in milliseconds. */
const GUARDIAN_PATIENCE_MS = 50;

/** So long those who are killed have to die, looked at so often, in milliseconds. */
const DEATH_PATIENCE_MS = 2_000;
const LOOK_MS = 10;

/**
 * Runs a command for as long as what is held lasts, and never for longer: by a guardian, see guardian.ts, and by ourselves where that does not
 * do its part. Resolves when the command has ended.
 */
export async function runGuarded(held: Holding, clock: Clock, options: CommandOptions): Promise<Ending> {
  const { command, environment, graceMs, signal } = options;
  const ownGroup = !process.stdin.isTTY;
  const guardianOptions: GuardianOptions = { command, graceMs, ownGroup };
  const script = fileURLToPath(new URL('./guardian-process.js', import.meta.url));
  const guardian = fork(script, [JSON.stringify(guardianOptions)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: environment,
    execArgv: [],
  });
  const tell = (message: ToGuardian): void => {
    /* One that has ended hears nothing, and needs to hear nothing. */
    if (guardian.connected) guardian.send(message, () => {});
  };
  let pid: number | undefined;
  let isOver = false;
  const over = new AbortController();
  const unheld = onAbort(held.signal, () => void endIt());
  const unasked = onAbort(signal, () => tell({ signal: 'SIGTERM' }));
  /* Whoever stands still for a while, we or the guardian, finds out here that the time is over. */
  const watching = (async () => {
    for (;;) {
      tell({ until: lastingUntil(held) });
      if (!held.isHeld()) return endIt();
      await sleep(clock, TELL_MS, over.signal);
    }
  })().catch(() => {});
  try {
    return await new Promise<Ending>((resolve) => {
      let isTold = false;
      guardian.on('message', (message: FromGuardian) => {
        if ('started' in message) pid = message.started;
        else {
          isTold = true;
          resolve(endingOf(message));
        }
      });
      guardian.on('error', (error) => resolve({ is: 'unstarted', reason: error.message, code: NOT_EXECUTABLE }));
      /* Without a word, all of its words having come: it was killed, and nobody guards what it has left. */
      guardian.on('close', () => {
        if (!isTold) void killAll().then(() => resolve({ is: 'lost' }));
      });
    });
  } finally {
    isOver = true;
    over.abort(new Error('the command has ended'));
    unheld();
    unasked();
    await watching;
    dismiss(guardian);
  }

  /**
   * Resolves when they are dead, since what is held is given back then: one that is killed may still have a write under way. Not for ever: where
   * nobody buries the dead they stay.
   */
  async function killAll(): Promise<void> {
    if (pid === undefined) return;
    signalCommand(pid, ownGroup, 'SIGKILL');
    for (let waitedMs = 0; waitedMs < DEATH_PATIENCE_MS && isThere(pid, ownGroup); waitedMs += LOOK_MS) {
      await sleep(clock, LOOK_MS);
    }
  }

  /** The time is over. The guardian has been told; if it does not do it at once, we do. */
  async function endIt(): Promise<void> {
    tell({ until: lastingUntil(held) });
    await sleep(clock, GUARDIAN_PATIENCE_MS, over.signal).catch(() => {});
    if (isOver) return;
    if (pid !== undefined) signalCommand(pid, ownGroup, 'SIGKILL');
    guardian.kill('SIGKILL');
  }
}

function lastingUntil(held: Holding): Instant {
  const { monotonicMs, wallMs } = machineNow();
  const leftMs = held.remainingMs();
  return { monotonicMs: monotonicMs + leftMs, wallMs: wallMs + leftMs };
}

function endingOf(message: Exclude<FromGuardian, { readonly started: number }>): Ending {
  if ('failed' in message) {
    return { is: 'unstarted', reason: message.failed, code: message.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE };
  }
  if (message.forLoss) return { is: 'lost' };
  const { code, signal } = message.ended;
  return { is: 'ended', code: code ?? SIGNALLED + (signal === null ? 0 : constants.signals[signal]) };
}

function dismiss(guardian: ChildProcess): void {
  if (guardian.connected) guardian.disconnect();
}
