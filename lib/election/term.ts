import { WorkStuckError } from '../errors.ts';
import type { Contest, Outcome } from '../queue/contest.ts';
import { tellOfStuckWork } from '../queue/narration.ts';
import type { Tenure } from '../queue/tenure.ts';
import { onAbort } from '../runtime/abort.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** `EX_SOFTWARE` of sysexits: the program is at fault, and nobody's command line. */
const STUCK_EXIT_CODE = 70;

export interface TermOptions {
  /** Tells the work to stop. */
  readonly signal: AbortSignal | undefined;
  /** How long the work may take to stop, in milliseconds. */
  readonly drainMs: number;
  /** Whether the process ends under work that will not. */
  readonly onStuck: 'reject' | 'exit';
}

/**
 * One term: does `work` under the tenure. When the tenure is lost or the signal aborts, the work is told first and waited for; it resigns
 * only then. Rejects with WorkStuckError where the work will not end. The key then stays: it is released in the background once the
 * work has ended after all, or goes with the lease.
 */
export async function serveTerm<T>(
  runtime: Runtime,
  contest: Contest,
  tenure: Tenure,
  work: () => Promise<T> | T,
  { signal, drainMs, onStuck }: TermOptions,
): Promise<Outcome<T>> {
  const stopForwarding = onAbort(signal, (reason) => tenure.interrupt(reason));
  let stopWaiting = (): void => {};
  const stuck = new Promise<never>((_, reject) => {
    let cancel = (): void => {};
    const stopListening = onAbort(tenure.signal, (reason) => {
      cancel = runtime.clock.schedule(drainMs, () => reject(stuckError(contest, tenure, drainMs, reason)));
    });
    stopWaiting = () => {
      stopListening();
      cancel();
    };
  });
  const watched = async (): Promise<T> => {
    try {
      return await work();
    } finally {
      stopWaiting();
    }
  };
  try {
    return await Promise.race([contest.conduct(tenure, watched), stuck]);
  } catch (error) {
    const { message } = error as Error;
    runtime.logger.error(message, { event: 'election.stuck', token: tenure.token });
    tellOfStuckWork(tenure, drainMs);
    if (onStuck === 'exit') runtime.exit(STUCK_EXIT_CODE);
    throw error;
  } finally {
    stopForwarding();
  }
}

function stuckError(contest: Contest, tenure: Tenure, drainMs: number, reason: unknown): WorkStuckError {
  const fate =
    tenure.loss() === undefined
      ? 'Its key is kept until the work ends, so nobody else is elected while it runs and this process is alive.'
      : 'The leadership is lost, so somebody else may lead already: only guarded writes of the work are safe.';
  return new WorkStuckError(
    `The work under the ${contest.identity.name} was told to stop and still ran ${drainMs} ms later. ${fate} ` +
      'Let the work listen to leadership.signal.',
    { cause: reason },
  );
}
