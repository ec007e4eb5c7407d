/**
 * The guardian of a command that runs under a lock: a process of its own between `holdfast lock` and the command.
 *
 * `holdfast` may be stopped, killed or starved, and its lease then ends although the command runs on. So it tells its guardian all the time until
 * when what it holds is sure to last, and the guardian ends the command by then, whether it hears anything more or not. The time is the machine's,
 * so that what was told late means what it meant when it was told. If it is the guardian that is stopped, `holdfast` ends the command itself;
 * see guarded-command.ts. Where both are stopped, only a guard at the resource helps.
 *
 * The command has ended when its group has: a shell that is asked to stop does so at once, whatever its children are still about.
 */
import { spawn } from 'node:child_process';
import { elapsedMs, machineNow, sleep, systemClock, type Instant } from '../runtime/clock.ts';

export interface GuardianOptions {
  readonly command: readonly string[];
  /** So long before the end the command is asked to stop, in milliseconds. */
  readonly graceMs: number;
  /** Whether the command gets a process group of its own, so that its children end with it. Not at a terminal: it could not read then. */
  readonly ownGroup: boolean;
}

export type ToGuardian =
  /** What is held is sure to last until then. */
  | { readonly until: Instant }
  /** The user wants it to stop. */
  | { readonly signal: NodeJS.Signals };

export type FromGuardian =
  | { readonly started: number }
  | { readonly failed: string; readonly code: string | undefined }
  | {
      readonly ended: { readonly code: number | null; readonly signal: NodeJS.Signals | null };
      readonly forLoss: boolean;
    };

const LOOK_MS = 25;

/** Milliseconds until an instant, by whichever clock says less: a wall clock that jumps can only make us more careful. */
function untilMs(until: Instant, now: Instant): number {
  return Math.min(until.monotonicMs - now.monotonicMs, until.wallMs - now.wallMs);
}

/** Sends a signal to the command, and to its group. */
export function signalCommand(pid: number, ownGroup: boolean, signal: NodeJS.Signals): void {
  try {
    process.kill(ownGroup ? -pid : pid, signal);
  } catch {
    /* It has ended. */
  }
}

/** Whether the command is there, or anybody of its group. Who is dead and not yet buried is, too. */
export function isThere(pid: number, ownGroup: boolean): boolean {
  try {
    process.kill(ownGroup ? -pid : pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Begins to guard, once it is told until when. */
export function guard({ command, graceMs, ownGroup }: GuardianOptions): void {
  let until: Instant | undefined;
  let pid: number | undefined;
  let forLoss = false;
  let isAsked = false;
  let isKilled = false;
  let isOver = false;
  /** The command itself has ended. What is left of its group has as much time as whoever is asked to stop. */
  let ended: { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly at: Instant } | undefined;

  const ask = (): void => {
    if (!isAsked && pid !== undefined) signalCommand(pid, ownGroup, 'SIGTERM');
    isAsked = true;
  };
  const look = (): void => {
    if (until === undefined || pid === undefined) return;
    const leftMs = untilMs(until, machineNow());
    if (leftMs <= graceMs) {
      forLoss = true;
      ask();
    }
    const wasKilled = isKilled;
    if (leftMs <= 0 || (ended !== undefined && elapsedMs(ended.at, machineNow()) >= graceMs)) {
      signalCommand(pid, ownGroup, 'SIGKILL');
      isKilled = true;
    }
    /* Those who are killed have a moment to die. Not for ever: where nobody buries the dead they stay in their group. */
    if (ended === undefined || (ownGroup && !wasKilled && isThere(pid, ownGroup))) return;
    end({ ended: { code: ended.code, signal: ended.signal }, forLoss });
  };
  process.on('message', (message: ToGuardian) => {
    if ('signal' in message) {
      if (pid !== undefined) signalCommand(pid, ownGroup, message.signal);
      return;
    }
    until = message.until;
    if (pid === undefined && untilMs(until, machineNow()) > graceMs) pid = start();
    look();
  });
  /* Nobody renews any more: what is held ends, and the command before it. One that has not begun never will. */
  const beLeftAlone = (): void => {
    if (pid === undefined) process.exit();
    forLoss = true;
    ask();
  };
  process.on('disconnect', beLeftAlone);
  /* `holdfast` can have gone while all of this was still being loaded, and nobody says so twice. */
  if (!process.connected) beLeftAlone();
  /* A terminal tells everybody; it is the command that decides. */
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});
  void lookAlways();

  function start(): number | undefined {
    const [file = '', ...args] = command;
    const child = spawn(file, args, { stdio: 'inherit', detached: ownGroup });
    child.on('error', (error: NodeJS.ErrnoException) => end({ failed: error.message, code: error.code }));
    child.on('exit', (code, signal) => {
      ended = { code, signal, at: machineNow() };
      look();
    });
    if (child.pid !== undefined) tell({ started: child.pid });
    return child.pid;
  }

  async function lookAlways(): Promise<never> {
    for (;;) {
      await sleep(systemClock, LOOK_MS);
      look();
    }
  }

  function end(what: FromGuardian): void {
    if (isOver) return;
    isOver = true;
    if (!process.connected) process.exit();
    process.send?.(what, () => process.exit());
  }

  function tell(what: FromGuardian): void {
    process.send?.(what);
  }
}
