import { fork, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Holding } from '../queue/holding.ts';
import { onAbort } from '../runtime/abort.ts';
import { machineNow, sleep, type Clock, type Instant } from '../runtime/clock.ts';
import { signalCommand, type FromGuardian, type GuardianOptions, type ToGuardian } from './guardian.ts';

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
      guardian.on('message', (message: FromGuardian) => {
        if ('started' in message) pid = message.started;
        else resolve(endingOf(message));
      });
      guardian.on('error', (error) => resolve({ is: 'unstarted', reason: error.message, code: NOT_EXECUTABLE }));
      guardian.on('exit', () => {
        /* Without a word: it was killed, and nobody guards what it has left. */
        if (pid !== undefined) signalCommand(pid, ownGroup, 'SIGKILL');
        resolve({ is: 'lost' });
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
