import {
  AccessDeniedError,
  ClosedError,
  CoordinationUnavailableError,
  LeadershipLostError,
  LockLostError,
  LockTimeoutError,
  OutcomeUnknownError,
  RevisionRegressedError,
  VersionConflictError,
  WorkStuckError,
} from '../errors.ts';
import { sleep } from '../runtime/clock.ts';
import type { Operation, Verb } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** The reason with which a worker takes its call back. */
export class TakenBack extends Error {
  override readonly name = 'TakenBack';
}

/** What work of the simulation throws that fails. */
export class WorkFailed extends Error {
  override readonly name = 'WorkFailed';
}

type ErrorClass = new (...args: never[]) => Error;

/** What each call may reject with, besides a refusal of access. Anything else is a bug. */
const EXPECTED: Readonly<Record<Verb, readonly ErrorClass[]>> = {
  acquire: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError],
  probe: [],
  try: [CoordinationUnavailableError, TakenBack, ClosedError],
  'shared try': [CoordinationUnavailableError, ClosedError, OutcomeUnknownError],
  with: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  all: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError, LockLostError],
  release: [OutcomeUnknownError],
  inspect: [CoordinationUnavailableError, ClosedError],
  campaign: [LockTimeoutError, CoordinationUnavailableError, TakenBack, ClosedError],
  lead: [TakenBack, ClosedError, WorkStuckError],
  own: [TakenBack, ClosedError, WorkStuckError],
  leave: [CoordinationUnavailableError, ClosedError],
  proclaim: [LeadershipLostError, CoordinationUnavailableError, OutcomeUnknownError, ClosedError],
  resign: [OutcomeUnknownError],
  leader: [CoordinationUnavailableError, ClosedError],
  put: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    TakenBack,
    ClosedError,
  ],
  delete: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    ClosedError,
  ],
  read: [CoordinationUnavailableError, RevisionRegressedError, ClosedError],
  set: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    TakenBack,
    ClosedError,
  ],
  update: [
    VersionConflictError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    RevisionRegressedError,
    ClosedError,
  ],
  once: [
    LockTimeoutError,
    CoordinationUnavailableError,
    OutcomeUnknownError,
    TakenBack,
    ClosedError,
    LockLostError,
    WorkFailed,
  ],
  forget: [CoordinationUnavailableError, OutcomeUnknownError, ClosedError],
  stop: [],
  close: [],
};

/** An outage that is over, or a permission that is given back, may be known as such only a little later. */
function isPassing(error: unknown): boolean {
  return error instanceof CoordinationUnavailableError || error instanceof AccessDeniedError;
}

/** What gives something back, or ends something, goes on in the background and says nothing of a refusal. */
const SILENT: ReadonlySet<Verb> = new Set(['probe', 'release', 'resign', 'leave', 'stop', 'close']);

function isExpected(error: unknown, verb: Verb, machine: Machine): boolean {
  if (error instanceof AccessDeniedError) return machine.wasRefused && !SILENT.has(verb);
  return EXPECTED[verb].some((expected) => error instanceof expected);
}

/** Calls of the public face, each from its start to its end, with what it may come to. */
export class Calls {
  readonly #world: World;
  readonly #invariants: Invariants;

  constructor(world: World, invariants: Invariants) {
    this.#world = world;
    this.#invariants = invariants;
  }

  async call<T>(
    machine: Machine,
    verb: Verb,
    queues: readonly string[],
    withinMs: number | undefined,
    act: (operation: Operation) => Promise<T>,
  ): Promise<T | undefined> {
    const { history } = this.#world;
    const operation = this.#invariants.begin(machine, verb, queues, withinMs);
    try {
      const result = await act(operation);
      this.#invariants.end(operation, result === undefined && verb === 'try' ? 'taken' : 'ok');
      return result;
    } catch (error) {
      if (!isExpected(error, verb, machine)) {
        history.violate(`a ${verb} rejects only as documented`, `${machine.name} #${operation.id} ${String(error)}`);
      }
      this.#invariants.end(operation, error instanceof Error ? error.name : String(error));
      return undefined;
    }
  }

  async close(machine: Machine, drainMs: number): Promise<void> {
    machine.state = 'closing';
    /* What drains, then one attempt to revoke; see SessionKeeper.close. */
    const withinMs = drainMs + machine.options.timeoutMs;
    await this.call(machine, 'close', [], withinMs, () => machine.coordinator.close({ drainMs }));
    machine.state = 'closed';
  }

  /** What is to be had in the end: asked for again while it is refused for what passes, and for so long at most. */
  async insist<T>(machine: Machine, untilMs: number, act: (timeoutMs: number) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act(untilMs - this.#world.nowMs);
      } catch (error) {
        if (!isPassing(error) || this.#world.nowMs >= untilMs) throw error;
        await sleep(machine.host, 100);
      }
    }
  }

  /** A signal that takes the call back after a while. */
  takenBack(machine: Machine, afterMs: number | undefined): AbortSignal | undefined {
    if (afterMs === undefined) return undefined;
    const controller = new AbortController();
    machine.host.schedule(afterMs, () => controller.abort(new TakenBack('the worker took it back')));
    return controller.signal;
  }
}
